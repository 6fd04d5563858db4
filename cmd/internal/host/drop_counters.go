package host

import (
	"cmp"
	"errors"
	"slices"

	"replypath/cmd/internal/bpf"
	"replypath/health"
	"replypath/uplinks"
)

// DropCounters accumulates what the filters at egress drop: a filter that is replaced counts from 0. The zero value has counted nothing.
// Not safe for concurrent use.
type DropCounters struct {
	counters map[dropKey]*dropCounter
}

type dropKey struct {
	link   string
	family uplinks.Family
}

type dropCounter struct {
	health.CumulativeCount
	of uint32 // bpf.Dropped.Map of the last reading
}

// Read returns the totals of the filters that there are. It needs CAP_BPF.
func (d *DropCounters) Read(f uplinks.Facts) ([]health.OutboundFilterStatus, error) {
	filters, err := bpf.OpenEgressFilters()
	if errors.Is(err, bpf.ErrNoPins) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	reading, err := bpf.DroppedPackets(filters)
	if err != nil {
		return nil, err
	}
	return d.observe(f, reading), nil
}

// observe takes a new reading, by the index of links, and returns the totals of those that the facts have.
func (d *DropCounters) observe(f uplinks.Facts, reading map[int]bpf.Dropped) (all []health.OutboundFilterStatus) {
	if d.counters == nil {
		d.counters = map[dropKey]*dropCounter{}
	}
	for index, dropped := range reading {
		link, known := f.LinkName(index)
		if !known {
			continue
		}
		for bits, packets := range dropped.Packets {
			key := dropKey{link, uplinks.IPv4}
			if bits == 128 {
				key.family = uplinks.IPv6
			}
			c := d.counters[key]
			if c == nil {
				c = &dropCounter{of: dropped.Map}
				d.counters[key] = c
			}
			if c.of != dropped.Map {
				c.Reset()
				c.of = dropped.Map
			}
			all = append(all, health.OutboundFilterStatus{Interface: link, Family: key.family, Dropped: c.Observe(packets)})
		}
	}
	slices.SortFunc(all, func(a, b health.OutboundFilterStatus) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Family, b.Family))
	})
	return all
}
