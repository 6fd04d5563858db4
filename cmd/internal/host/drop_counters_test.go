package host

import (
	"testing"

	"replypath/cmd/internal/bpf"
	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// A filter with another map has counted from 0, also when it has dropped more than the one before. Links that are gone are left out.
func TestDroppedPacketsAreAddedUpOverReplacedFilters(t *testing.T) {
	f, index := uplinkstest.Facts(), 7
	l := f.Links["eth0"]
	l.Index = index
	f.Links["eth0"] = l
	var d DropCounters
	for i, step := range []struct {
		of           uint32
		packets, sum uint64
	}{{1, 3, 3}, {1, 5, 5}, {2, 6, 11}, {2, 6, 11}, {3, 0, 11}, {3, 1, 12}} {
		got := d.observe(f, map[int]bpf.Dropped{index: {Map: step.of, Packets: map[int]uint64{128: step.packets}}, 99: {Map: 9, Packets: map[int]uint64{32: 1}}})
		if want := (health.OutboundFilterStatus{Interface: "eth0", Family: uplinks.IPv6, Dropped: step.sum}); len(got) != 1 || got[0] != want {
			t.Errorf("reading %d: %+v, want %+v", i, got, want)
		}
	}
}
