package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// linkPrograms are the programs of one kind at a hook of links in this network namespace, one for each link (TCX, Linux 6.6), behind
// those of others. Each stays as long as it is pinned and the link exists. Its link, its program and its map are pinned under names
// that end with the index of the link.
type linkPrograms struct {
	pins   string // folder
	attach ebpf.AttachType
	kind   string // for errors: "the filter at egress"
	data   string // what the name of the pinned map begins with
}

// openLinkPrograms finds the place of the pins, in a folder whose name begins so. Without one the error is ErrNoPins.
func openLinkPrograms(folder string, p linkPrograms) (linkPrograms, error) {
	netns, err := netnsCookie()
	if err != nil {
		return p, err
	}
	p.pins, err = pinsOf(fmt.Sprintf("%s-%d", folder, netns))
	return p, err
}

// What the names of the pins begin with, but that of the map.
const pinnedLink, pinnedProgram = "link_", "program_"

func (p linkPrograms) pin(kind string, index int) string {
	return filepath.Join(p.pins, kind+strconv.Itoa(index))
}

// indices returns the indices of the links for which something is pinned.
func (p linkPrograms) indices() (all map[int]bool, err error) {
	entries, err := os.ReadDir(p.pins)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.kind, err)
	}
	all = map[int]bool{}
	for _, entry := range entries {
		_, number, _ := strings.Cut(entry.Name(), "_")
		if index, err := strconv.Atoi(number); err == nil {
			all[index] = true
		}
	}
	return all, nil
}

// errDamaged means that what is pinned does not belong together, or is not what was pinned.
var errDamaged = errors.New("another program has changed the program of the link")

// read returns the tag of the link's program, and calls readMap with its map.
func (p linkPrograms) read(index int, readMap func(*ebpf.Map) error) (tag string, err error) {
	running, err := p.runningProgram(index)
	if err != nil {
		return "", err
	}
	program, err := ebpf.LoadPinnedProgram(p.pin(pinnedProgram, index), nil)
	if err != nil {
		return "", err
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return "", err
	}
	m, err := ebpf.LoadPinnedMap(p.pin(p.data, index), nil)
	if err != nil {
		return "", err
	}
	defer m.Close()
	data, err := m.Info()
	if err != nil {
		return "", err
	}
	id, _ := info.ID()
	mapID, _ := data.ID()
	used, _ := info.MapIDs()
	if id != running || len(used) != 1 || used[0] != mapID {
		return "", errDamaged
	}
	return info.Tag, readMap(m)
}

// runningProgram returns the program of the pinned link, which is attached to the link with the index.
func (p linkPrograms) runningProgram(index int) (ebpf.ProgramID, error) {
	l, err := link.LoadPinnedLink(p.pin(pinnedLink, index), nil)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	if at := info.TCX(); at == nil || int(at.Ifindex) != index || ebpf.AttachType(at.AttachType) != p.attach {
		return 0, errDamaged
	}
	return info.Program, nil
}

// set gives the link this program and its map, in place of one that it has: no packet meets none. After an error the link may have
// none, or the one before, which read then calls damaged.
func (p linkPrograms) set(index int, program *ebpf.Program, data *ebpf.Map) error {
	if err := os.MkdirAll(p.pins, 0o700); err != nil {
		return fmt.Errorf("make a folder for %s: %w", p.kind, err)
	}
	defer p.removeEmptyFolder()
	if err := p.put(index, program); err != nil {
		return err
	}
	for path, pin := range map[string]func(string) error{p.pin(pinnedProgram, index): program.Pin, p.pin(p.data, index): data.Pin} {
		if err := errors.Join(remove(path), pin(path)); err != nil {
			return fmt.Errorf("pin %s: %w", p.kind, err)
		}
	}
	return nil
}

// put makes the program that of the link.
func (p linkPrograms) put(index int, program *ebpf.Program) error {
	path := p.pin(pinnedLink, index)
	if _, err := p.runningProgram(index); err == nil {
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			return fmt.Errorf("replace %s: %w", p.kind, err)
		}
		defer l.Close()
		if err := l.Update(program); err != nil {
			return fmt.Errorf("replace %s: %w", p.kind, err)
		}
		return nil
	}
	if err := p.detach(index); err != nil {
		return err
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: p.attach, Anchor: link.Tail()})
	if err != nil {
		return fmt.Errorf("attach %s: %w", p.kind, err)
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin %s: %w", p.kind, err)
	}
	return nil
}

// delete takes the program of the link with the index away, which may be gone.
func (p linkPrograms) delete(index int) error {
	err := errors.Join(p.detach(index), remove(p.pin(pinnedProgram, index)), remove(p.pin(p.data, index)))
	p.removeEmptyFolder()
	return err
}

// removeEmptyFolder removes the folder of the pins, and the one that it is in, if nothing is pinned there.
func (p linkPrograms) removeEmptyFolder() {
	if os.Remove(p.pins) == nil {
		_ = os.Remove(filepath.Dir(p.pins)) // unless it has more
	}
}

// detach ends the program of the link at once: the kernel would only later notice that its last pin is gone.
func (p linkPrograms) detach(index int) error {
	path := p.pin(pinnedLink, index)
	var failed error
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		failed = l.Detach()
		l.Close()
	}
	if err := errors.Join(failed, remove(path)); err != nil {
		return fmt.Errorf("remove %s: %w", p.kind, err)
	}
	return nil
}

// noLink is the index of no link.
const noLink = 1<<31 - 1

// check reports why the program cannot be attached, as far as it does not depend on a link. It attaches nothing.
func (p linkPrograms) check(program *ebpf.Program) error {
	_, err := link.AttachTCX(link.TCXOptions{Interface: noLink, Program: program, Attach: p.attach})
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("attach %s (TCX, Linux 6.6): %w", p.kind, err)
}

// loadWith loads a program that refers to the map by its name.
func loadWith(spec *ebpf.ProgramSpec, name string, m *ebpf.Map) (*ebpf.Program, error) {
	if err := spec.Instructions.AssociateMap(name, m); err != nil {
		return nil, err
	}
	return ebpf.NewProgram(spec)
}

// remove removes a pin, if it exists.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
