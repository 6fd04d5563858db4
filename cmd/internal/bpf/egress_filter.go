package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// EgressFilter says which packets without a mark and without a VLAN tag may not leave by a link: those whose source is in a network of
// Drop, unless it is in a longer one of Pass.
type EgressFilter struct {
	Drop, Pass []netip.Prefix
}

// drops reports whether Drop has networks of a family.
func (f EgressFilter) drops(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(f.Drop, func(p netip.Prefix) bool { return family(p.Addr()) })
}

// EgressFilters reads and writes the filters of the links in the network namespace of this process. Each is a program at the egress of
// the link (TCX, Linux 6.6), behind those of others. It stays as long as it is pinned and the link exists. Not safe for concurrent use.
type EgressFilters struct {
	pins string             // folder
	tags map[[2]bool]string // of the programs of the families
}

// OpenEgressFilters finds the place of the pins. Without one the error is ErrNoPins.
func OpenEgressFilters() (*EgressFilters, error) {
	netns, err := netnsCookie()
	if err != nil {
		return nil, err
	}
	pins, err := pinsOf(fmt.Sprintf("egress-%d", netns))
	return &EgressFilters{pins, map[[2]bool]string{}}, err
}

// pinned are the names of what is pinned for a link, by what they begin with: the index of the link follows.
const pinnedLink, pinnedProgram, pinnedNetworks = "link_", "program_", "networks_"

func (e *EgressFilters) pin(kind string, index int) string {
	return filepath.Join(e.pins, kind+strconv.Itoa(index))
}

// Read returns the filters by the index of the link. One that does not work as it should has no networks.
func (e *EgressFilters) Read() (map[int]EgressFilter, error) {
	entries, err := os.ReadDir(e.pins)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the filters at egress: %w", err)
	}
	all := map[int]EgressFilter{}
	for _, entry := range entries {
		_, number, _ := strings.Cut(entry.Name(), "_")
		index, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		if f, err := e.read(index); err == nil {
			all[index] = f
		} else {
			all[index] = EgressFilter{}
		}
	}
	return all, nil
}

// errDamaged means that what is pinned does not belong together, or is not what Set has pinned.
var errDamaged = errors.New("another program has changed the filter")

func (e *EgressFilters) read(index int) (f EgressFilter, err error) {
	running, err := e.runningProgram(index)
	if err != nil {
		return f, err
	}
	program, err := ebpf.LoadPinnedProgram(e.pin(pinnedProgram, index), nil)
	if err != nil {
		return f, err
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return f, err
	}
	m, err := ebpf.LoadPinnedMap(e.pin(pinnedNetworks, index), nil)
	if err != nil {
		return f, err
	}
	defer m.Close()
	networks, err := m.Info()
	if err != nil {
		return f, err
	}
	id, _ := info.ID()
	mapID, _ := networks.ID()
	if used, _ := info.MapIDs(); id != running || !slices.Contains(used, mapID) {
		return f, errDamaged
	}
	if f, err = readNetworks(m); err != nil {
		return f, err
	}
	if tag, err := e.tag(f); err != nil || tag != info.Tag {
		return f, errors.Join(err, errDamaged)
	}
	return f, nil
}

// runningProgram returns the program of the pinned link, which is attached to the link with the index.
func (e *EgressFilters) runningProgram(index int) (ebpf.ProgramID, error) {
	l, err := link.LoadPinnedLink(e.pin(pinnedLink, index), nil)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	if at := info.TCX(); at == nil || int(at.Ifindex) != index || ebpf.AttachType(at.AttachType) != ebpf.AttachTCXEgress {
		return 0, errDamaged
	}
	return info.Program, nil
}

// readNetworks returns the filter that the map makes.
func readNetworks(m *ebpf.Map) (f EgressFilter, err error) {
	var k networkKey
	var v networkValue
	entries := m.Iterate()
	for entries.Next(&k, &v) {
		if v.Drop != 0 {
			f.Drop = append(f.Drop, k.prefix())
		} else {
			f.Pass = append(f.Pass, k.prefix())
		}
	}
	slices.SortFunc(f.Drop, netip.Prefix.Compare)
	slices.SortFunc(f.Pass, netip.Prefix.Compare)
	return f, entries.Err()
}

// tag returns the tag of the filter's program. Only the kernel knows how it computes it.
func (e *EgressFilters) tag(f EgressFilter) (string, error) {
	families := [2]bool{f.drops(netip.Addr.Is4), f.drops(netip.Addr.Is6)}
	if tag := e.tags[families]; tag != "" {
		return tag, nil
	}
	program, m, err := load(f)
	if err != nil {
		return "", err
	}
	defer m.Close()
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return "", err
	}
	e.tags[families] = info.Tag
	return info.Tag, nil
}

// load loads the filter's program with a map of its networks.
func load(f EgressFilter) (*ebpf.Program, *ebpf.Map, error) {
	m, err := ebpf.NewMap(networksSpec(f))
	if err != nil {
		return nil, nil, fmt.Errorf("make the map of a filter at egress: %w", err)
	}
	for drop, networks := range [][]netip.Prefix{f.Pass, f.Drop} {
		for _, p := range networks {
			if err := m.Put(keyOf(p), networkValue{Drop: uint64(drop)}); err != nil {
				m.Close()
				return nil, nil, fmt.Errorf("write %s to the map of a filter at egress: %w", p, err)
			}
		}
	}
	spec := egressSpec(f)
	err = spec.Instructions.AssociateMap(networksMap, m)
	if err == nil {
		var program *ebpf.Program
		if program, err = ebpf.NewProgram(spec); err == nil {
			return program, m, nil
		}
	}
	m.Close()
	return nil, nil, fmt.Errorf("load the program of a filter at egress: %w", err)
}

// noLink is the index of no link.
const noLink = math.MaxInt32

// Check reports what would fail, as far as it does not depend on a link. It attaches nothing.
func (e *EgressFilters) Check() error {
	program, m, err := load(EgressFilter{Drop: []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 32), netip.PrefixFrom(netip.IPv6Unspecified(), 128)}})
	if err != nil {
		return err
	}
	defer m.Close()
	defer program.Close()
	_, err = link.AttachTCX(link.TCXOptions{Interface: noLink, Program: program, Attach: ebpf.AttachTCXEgress})
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("attach a program at the egress of links (TCX, Linux 6.6): %w", err)
}
