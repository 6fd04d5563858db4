package bpf

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
)

// Dropped is what the filter of a link has dropped since it has its map.
type Dropped struct {
	Map     uint32         // another one counts from 0
	Packets map[int]uint64 // of the families that it filters, by the length of their addresses in bits
}

// DroppedPackets returns what the filters of the links have dropped, by the index of the link. Filters that are replaced or removed
// meanwhile are missing.
func DroppedPackets(e *EgressFilters) (map[int]Dropped, error) {
	indices, err := e.indices()
	if err != nil {
		return nil, err
	}
	all := map[int]Dropped{}
	for index := range indices {
		m, err := ebpf.LoadPinnedMap(e.pin(e.data, index), nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what %s has dropped: %w", e.name, err)
		}
		dropped, err := droppedBy(m)
		m.Close()
		if err != nil {
			return nil, fmt.Errorf("read what %s has dropped: %w", e.name, err)
		}
		all[index] = dropped
	}
	return all, nil
}

// droppedBy returns what the filter with the map has dropped.
func droppedBy(m *ebpf.Map) (Dropped, error) {
	info, err := m.Info()
	if err != nil {
		return Dropped{}, err
	}
	id, _ := info.ID()
	d := Dropped{Map: uint32(id), Packets: map[int]uint64{}}
	var k networkKey
	var v networkValue
	entries := m.Iterate()
	for entries.Next(&k, &v) {
		if v.Drop != 0 {
			d.Packets[k.prefix().Addr().BitLen()] += v.Packets
		}
	}
	return d, entries.Err()
}
