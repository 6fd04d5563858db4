package bpf

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
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
// the link. Not safe for concurrent use.
type EgressFilters struct {
	links linkPrograms
	tags  map[[2]bool]string // of the programs of the families
}

// OpenEgressFilters finds the place of the pins. Without one the error is ErrNoPins.
func OpenEgressFilters() (*EgressFilters, error) {
	links, err := openLinkPrograms("egress", linkPrograms{attach: ebpf.AttachTCXEgress, kind: "the filter at egress", data: "networks_"})
	return &EgressFilters{links, map[[2]bool]string{}}, err
}

// Read returns the filters by the index of the link. One that does not work as it should has no networks.
func (e *EgressFilters) Read() (map[int]EgressFilter, error) {
	indices, err := e.links.indices()
	if err != nil || indices == nil {
		return nil, err
	}
	all := map[int]EgressFilter{}
	for index := range indices {
		if f, err := e.read(index); err == nil {
			all[index] = f
		} else {
			all[index] = EgressFilter{}
		}
	}
	return all, nil
}

func (e *EgressFilters) read(index int) (f EgressFilter, err error) {
	running, err := e.links.read(index, func(m *ebpf.Map) (err error) {
		f, err = readNetworks(m)
		return err
	})
	if err != nil {
		return f, err
	}
	if tag, err := e.tag(f); err != nil || tag != running {
		return f, errDamaged
	}
	return f, nil
}

// Set gives the link with the index this filter, in place of one that it has: no packet meets none. After an error the link may have
// none, or the one before, which Read then calls damaged.
func (e *EgressFilters) Set(index int, f EgressFilter) error {
	program, networks, err := load(f)
	if err != nil {
		return err
	}
	defer networks.Close()
	defer program.Close()
	return e.links.set(index, program, networks)
}

// Delete takes the filter of the link with the index away, which may be gone.
func (e *EgressFilters) Delete(index int) error { return e.links.delete(index) }

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
	program, err := loadWith(egressSpec(f), networksMap, m)
	if err != nil {
		m.Close()
		return nil, nil, fmt.Errorf("load the program of a filter at egress: %w", err)
	}
	return program, m, nil
}

// Check reports what would fail, as far as it does not depend on a link. It attaches nothing.
func (e *EgressFilters) Check() error {
	program, m, err := load(EgressFilter{Drop: []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 32), netip.PrefixFrom(netip.IPv6Unspecified(), 128)}})
	if err != nil {
		return err
	}
	defer m.Close()
	defer program.Close()
	return e.links.check(program)
}
