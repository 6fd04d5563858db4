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

// programKind is what programs of links with the definition T have in common.
type programKind[T any] struct {
	folder  string // of the pins, for all network namespaces
	attach  ebpf.AttachType
	name    string // for errors: "the filter at egress"
	data    string // what the name of the pinned map begins with
	load    func(T) (*ebpf.Program, *ebpf.Map, error)
	readMap func(*ebpf.Map) (T, error) // the inverse of load
	code    func(T) string             // what the instructions depend on
	example T                          // has all instructions
}

// LinkPrograms reads and writes the programs of one kind at a hook of links in the network namespace of this process, one for each link
// (TCX, Linux 6.6), behind those of others. Each stays as long as it is pinned and the link exists. Its link, its program and its map are
// pinned under names that end with the index of the link. Not safe for concurrent use.
type LinkPrograms[T any] struct {
	programKind[T]
	pins string            // folder
	tags map[string]string // of programs, by programKind.code
}

// openLinkPrograms finds the place of the pins. Without one the error is ErrNoPins.
func openLinkPrograms[T any](k programKind[T]) (*LinkPrograms[T], error) {
	netns, err := netnsCookie()
	if err != nil {
		return nil, err
	}
	pins, err := pinsOf(fmt.Sprintf("%s-%d", k.folder, netns))
	return &LinkPrograms[T]{k, pins, map[string]string{}}, err
}

// Read returns what the links have, by their index. What does not work as it should is the zero value.
func (p *LinkPrograms[T]) Read() (map[int]T, error) {
	indices, err := p.indices()
	if err != nil || indices == nil {
		return nil, err
	}
	all := map[int]T{}
	for index := range indices {
		if v, err := p.read(index); err == nil {
			all[index] = v
		} else {
			var damaged T
			all[index] = damaged
		}
	}
	return all, nil
}

// Set gives the link with the index its program, in place of one that it has: no packet meets none. After an error the link may have
// none, or the one before, which Read then calls damaged.
func (p *LinkPrograms[T]) Set(index int, v T) error {
	program, data, err := p.load(v)
	if err != nil {
		return err
	}
	defer data.Close()
	defer program.Close()
	return p.set(index, program, data)
}

// Delete takes the program of the link with the index away, which may be gone.
func (p *LinkPrograms[T]) Delete(index int) error {
	return errors.Join(p.detach(index), remove(p.pin(pinnedProgram, index)), remove(p.pin(p.data, index)), removeEmptyFolder(p.pins))
}

// noLink is the index of no link.
const noLink = 1<<31 - 1

// Check reports what would fail, as far as it does not depend on a link. It attaches nothing.
func (p *LinkPrograms[T]) Check() error {
	if err := checkPins(p.pins); err != nil {
		return err
	}
	program, m, err := p.load(p.example)
	if err != nil {
		return err
	}
	defer m.Close()
	defer program.Close()
	_, err = link.AttachTCX(link.TCXOptions{Interface: noLink, Program: program, Attach: p.attach})
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("attach %s (TCX, Linux 6.6): %w", p.name, err)
}

// What the names of the pins begin with, but that of the map.
const pinnedLink, pinnedProgram = "link_", "program_"

func (p *LinkPrograms[T]) pin(kind string, index int) string {
	return filepath.Join(p.pins, kind+strconv.Itoa(index))
}

// indices returns the indices of the links for which something is pinned.
func (p *LinkPrograms[T]) indices() (all map[int]bool, err error) {
	entries, err := os.ReadDir(p.pins)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.name, err)
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

// read returns what the link has.
func (p *LinkPrograms[T]) read(index int) (v T, err error) {
	running, err := p.runningProgram(index)
	if err != nil {
		return v, err
	}
	program, err := ebpf.LoadPinnedProgram(p.pin(pinnedProgram, index), nil)
	if err != nil {
		return v, err
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return v, err
	}
	m, err := ebpf.LoadPinnedMap(p.pin(p.data, index), nil)
	if err != nil {
		return v, err
	}
	defer m.Close()
	data, err := m.Info()
	if err != nil {
		return v, err
	}
	id, _ := info.ID()
	mapID, _ := data.ID()
	used, _ := info.MapIDs()
	if id != running || len(used) != 1 || used[0] != mapID {
		return v, errDamaged
	}
	if v, err = p.readMap(m); err != nil {
		return v, err
	}
	if tag, err := p.tag(v); err != nil || tag != info.Tag {
		return v, errDamaged
	}
	return v, nil
}

// tag returns the tag of the program. Only the kernel knows how it computes it.
func (p *LinkPrograms[T]) tag(v T) (string, error) {
	code := p.code(v)
	if tag := p.tags[code]; tag != "" {
		return tag, nil
	}
	program, m, err := p.load(v)
	if err != nil {
		return "", err
	}
	defer m.Close()
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return "", err
	}
	p.tags[code] = info.Tag
	return info.Tag, nil
}

// runningProgram returns the program of the pinned link, which is attached to the link with the index.
func (p *LinkPrograms[T]) runningProgram(index int) (ebpf.ProgramID, error) {
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

// set puts the program in force, and pins it and its map.
func (p *LinkPrograms[T]) set(index int, program *ebpf.Program, data *ebpf.Map) error {
	if err := makeFolder(p.pins); err != nil {
		return err
	}
	if err := p.put(index, program); err != nil {
		return errors.Join(err, removeEmptyFolder(p.pins))
	}
	for path, pin := range map[string]func(string) error{p.pin(pinnedProgram, index): program.Pin, p.pin(p.data, index): data.Pin} {
		if err := errors.Join(remove(path), pin(path)); err != nil {
			return fmt.Errorf("pin %s: %w", p.name, err)
		}
	}
	return nil
}

// put makes the program that of the link.
func (p *LinkPrograms[T]) put(index int, program *ebpf.Program) error {
	path := p.pin(pinnedLink, index)
	if _, err := p.runningProgram(index); err == nil {
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			return fmt.Errorf("replace %s: %w", p.name, err)
		}
		defer l.Close()
		if err := l.Update(program); err != nil {
			return fmt.Errorf("replace %s: %w", p.name, err)
		}
		return nil
	}
	if err := p.detach(index); err != nil {
		return err
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: p.attach, Anchor: link.Tail()})
	if err != nil {
		return fmt.Errorf("attach %s: %w", p.name, err)
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin %s: %w", p.name, err)
	}
	return nil
}

// detach ends the program of the link.
func (p *LinkPrograms[T]) detach(index int) error {
	if err := unpin(p.pin(pinnedLink, index)); err != nil {
		return fmt.Errorf("remove %s: %w", p.name, err)
	}
	return nil
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
