package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Attach attaches the programs, or replaces those that are attached in place: no packet meets none. The maps stay, if they have
// the same size. After an error nothing is attached.
func (u *UDP) Attach(s Settings) error {
	folder, err := s.folder()
	if err != nil {
		return err
	}
	if err := u.attach(s, folder); err != nil {
		return errors.Join(err, u.Detach())
	}
	return nil
}

func (u *UDP) attach(s Settings, folder string) error {
	id, err := cgroupID(folder)
	if err != nil {
		return err
	}
	if err := makeFolder(u.pins); err != nil {
		return err
	}
	maps := map[string]*ebpf.Map{}
	defer closeAll(maps)
	for _, spec := range mapSpecs(s.Entries, maxAddrs) {
		if maps[spec.Name], err = u.makeMap(spec); err != nil {
			return err
		}
	}
	return u.load(s, maps, func(p udpProgram, loaded *ebpf.Program) error { return u.put(p, loaded, folder, id) })
}

// load loads the programs with these maps, and passes each to use.
func (u *UDP) load(s Settings, maps map[string]*ebpf.Map, use func(udpProgram, *ebpf.Program) error) error {
	for _, p := range udpPrograms(u.constants(s)) {
		spec := p.spec()
		for name, m := range maps {
			if err := spec.Instructions.AssociateMap(name, m); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
				return fmt.Errorf("load the program %s: %w", spec.Name, err)
			}
		}
		loaded, err := ebpf.NewProgram(spec)
		if err != nil {
			return fmt.Errorf("load the program %s: %w", spec.Name, err)
		}
		err = use(p, loaded)
		loaded.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// Check loads the programs and unloads them, and looks for the control group: it reports what would fail.
func (u *UDP) Check(s Settings) error {
	folder, err := s.folder()
	if err != nil {
		return err
	}
	if _, err := cgroupID(folder); err != nil {
		return err
	}
	if err := checkPins(u.pins); err != nil {
		return err
	}
	_, err = u.expect(s)
	return err
}

// expect returns the tags of the programs of the settings, by name. Only the kernel knows how it computes them.
func (u *UDP) expect(s Settings) (map[string]string, error) {
	if tags := u.expected[s]; tags != nil {
		return tags, nil
	}
	maps := map[string]*ebpf.Map{}
	defer closeAll(maps)
	for _, spec := range mapSpecs(1, 1) {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return nil, fmt.Errorf("make a map: %w", err)
		}
		maps[spec.Name] = m
	}
	tags := map[string]string{}
	err := u.load(s, maps, func(p udpProgram, loaded *ebpf.Program) error {
		info, err := loaded.Info()
		if err == nil {
			tags[p.name] = info.Tag
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	u.expected[s] = tags
	return tags, nil
}

// mapSpecs returns the maps of the programs.
func mapSpecs(asked, addrs uint32) []*ebpf.MapSpec {
	return []*ebpf.MapSpec{
		{Name: askedMap, Type: ebpf.LRUHash, KeySize: requestSize, ValueSize: askedSize, MaxEntries: asked},
		{Name: addrsMap, Type: ebpf.Hash, KeySize: addrSize, ValueSize: 8, MaxEntries: addrs},
		{Name: aliveMap, Type: ebpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 1},
	}
}

// closeAll closes the maps; the nil map of a failure too.
func closeAll(maps map[string]*ebpf.Map) {
	for _, m := range maps {
		m.Close()
	}
}

// put makes the program the one of its hook.
func (u *UDP) put(p udpProgram, program *ebpf.Program, folder string, id uint64) error {
	path := u.pinOfLink(p.name)
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		defer l.Close()
		info, err := l.Info()
		if err == nil && info.Cgroup() != nil && info.Cgroup().CgroupId == id {
			if err := l.Update(program); err != nil {
				return fmt.Errorf("replace the program %s: %w", p.name, err)
			}
			return nil
		}
		if err := errors.Join(l.Detach(), l.Unpin()); err != nil {
			return fmt.Errorf("remove the program %s from another control group: %w", p.name, err)
		}
	} else if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	l, err := link.AttachCgroup(link.CgroupOptions{Path: folder, Attach: p.attach, Program: program})
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("attach the program %s to %s: %w: a program of another service is attached there exclusively, or CAP_NET_ADMIN and CAP_BPF are missing", p.name, folder, err)
	case err != nil:
		return fmt.Errorf("attach the program %s to %s: %w", p.name, folder, err)
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin the program %s: %w", p.name, err)
	}
	return nil
}

// makeMap returns the pinned map, or a new one if there is none that fits.
func (u *UDP) makeMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	spec.Pinning = ebpf.PinByName
	m, err := ebpf.NewMapWithOptions(spec, ebpf.MapOptions{PinPath: u.pins})
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		if err := os.Remove(u.pin(spec.Name)); err != nil {
			return nil, fmt.Errorf("replace the map %s: %w", u.pin(spec.Name), err)
		}
		m, err = ebpf.NewMapWithOptions(spec, ebpf.MapOptions{PinPath: u.pins})
	}
	if err != nil {
		return nil, fmt.Errorf("make the map %s: %w", u.pin(spec.Name), err)
	}
	return m, nil
}

// Detach removes all programs and maps of the network namespace.
func (u *UDP) Detach() error { return removeFolder(u.pins) }

// constants returns the constants of the programs, as far as the kernel has what they need.
func (u *UDP) constants(s Settings) udpConstants {
	known := features.HaveProgramHelper(ebpf.CGroupSKB, asm.FnGetNetnsCookie)
	return udpConstants{mask: s.Mask, netns: u.netns, ownToo: s.OwnToo, ingress: known == nil}
}
