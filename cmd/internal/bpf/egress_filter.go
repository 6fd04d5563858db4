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

// EgressFilters are the filters of the links, programs at their egress.
type EgressFilters = LinkPrograms[EgressFilter]

// OpenEgressFilters finds the place of the pins. Without one the error is ErrNoPins.
func OpenEgressFilters() (*EgressFilters, error) {
	return openLinkPrograms(programKind[EgressFilter]{
		folder: "egress", attach: ebpf.AttachTCXEgress, name: "the filter at egress", data: "networks_", load: loadFilter, readMap: readNetworks,
		code:    func(f EgressFilter) string { return fmt.Sprint(f.drops(netip.Addr.Is4), f.drops(netip.Addr.Is6)) },
		example: EgressFilter{Drop: []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 32), netip.PrefixFrom(netip.IPv6Unspecified(), 128)}},
	})
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

// loadFilter loads the filter's program with a map of its networks.
func loadFilter(f EgressFilter) (*ebpf.Program, *ebpf.Map, error) {
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
