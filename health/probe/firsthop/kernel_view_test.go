package firsthop

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks/egress"
)

// fakeTable is a neighbour table with one entry.
type fakeTable struct {
	entry      egress.Neighbour
	found      bool
	err        error
	resolveErr error
	asked      int
	resolved   int
}

func (f *fakeTable) Neighbours(of []egress.LinkAddr) (all []egress.NeighbourLookup) {
	f.asked++
	for range of {
		all = append(all, egress.NeighbourLookup{Neighbour: f.entry, Found: f.found, Err: f.err})
	}
	return all
}

func (f *fakeTable) Resolve(int, netip.Addr) error { f.resolved++; return f.resolveErr }

const (
	heard   = "\x02\x00\x00\x00\x00\x01"
	another = "\x02\x00\x00\x00\x00\x99"
)

var gatewayPath = health.Path{Link: "eth1", Index: 3, Gateway: netip.MustParseAddr("192.0.2.1")}

func TestProbeComparesTheKernelsEntry(t *testing.T) {
	entry := func(mac string, s egress.NeighbourState) fakeTable {
		return fakeTable{entry: egress.Neighbour{MAC: mac, State: s}, found: true}
	}
	failed := errors.New("no such link")
	for name, c := range map[string]struct {
		table fakeTable
		mac   string
		want  string // words of the error; empty: none
	}{
		"the same":                    {entry(heard, egress.Reachable), heard, ""},
		"an old one of another":       {entry(another, egress.Stale), heard, ""}, // the kernel asks again by itself
		"permanent and right":         {entry(heard, egress.Permanent), heard, ""},
		"permanent and wrong":         {entry(another, egress.Permanent), heard, "permanent neighbour entry has 02:00:00:00:00:99"},
		"ARP is off":                  {entry(another, egress.NoARP), heard, "ip link set dev eth1 arp on"},
		"a reply without its address": {entry(another, egress.Permanent), "", ""},
		"an unreadable table":         {fakeTable{err: failed}, heard, ""},
		"not resolved yet":            {entry("", egress.Failed), heard, ""},
	} {
		err := newKernelView(&c.table).check(gatewayPath, c.mac)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestGatewayThatTheKernelCannotResolveFailsAfterAWhile(t *testing.T) {
	table := &fakeTable{}
	k := newKernelView(table)
	if err := k.check(gatewayPath, heard); err != nil || table.resolved != 1 {
		t.Fatalf("at first: %v, resolved %d times", err, table.resolved)
	}
	table.found, table.entry.State = true, egress.Incomplete
	if err := k.check(gatewayPath, heard); err != nil || table.resolved != 1 {
		t.Fatalf("while the kernel tries: %v, resolved %d times", err, table.resolved)
	}
	last := k.paths[gatewayPath.Key]
	last.failed = last.failed.Add(-failedPatience)
	k.paths[gatewayPath.Key] = last
	for _, state := range []egress.NeighbourState{egress.Failed, egress.Incomplete} {
		table.entry.State = state
		if err := k.check(gatewayPath, heard); err == nil || !strings.Contains(err.Error(), "the kernel cannot resolve it") {
			t.Errorf("%s: %v", state, err)
		}
	}
	table.entry = egress.Neighbour{MAC: heard, State: egress.Reachable}
	if err := k.check(gatewayPath, heard); err != nil {
		t.Errorf("once it is resolved: %v", err)
	}
	if p := k.paths[gatewayPath.Key]; !p.failed.IsZero() || time.Since(p.good) > time.Minute {
		t.Errorf("once it is resolved: %+v", p)
	}
	without := &fakeTable{resolveErr: errors.New("operation not permitted")}
	k = newKernelView(without)
	for range 2 {
		if err := k.check(gatewayPath, heard); err != nil {
			t.Errorf("without the privilege: %v", err)
		}
		k.paths[gatewayPath.Key] = viewOfPath{failed: time.Now().Add(-failedPatience)}
	}
}

// Gateways that are probed once a second are compared together, every three seconds, whenever they were first.
func TestRightEntryIsComparedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &fakeTable{entry: egress.Neighbour{MAC: heard, State: egress.Reachable}, found: true}
		k := newKernelView(table)
		var all []comparison
		for i, name := range []string{"one", "another", "a third"} {
			p := gatewayPath
			p.Key.Uplink = name
			all = append(all, comparison{ending: ending{path: &p, reply: reply{mac: heard}}})
			k.compareAll(all)
			if table.asked != i+1 {
				t.Errorf("%d look-ups, want %d", table.asked, i+1)
			}
			time.Sleep(900 * time.Millisecond)
		}
		table.asked = 0
		for range 12 {
			time.Sleep(time.Second)
			k.compareAll(all)
		}
		if table.asked != 4 {
			t.Errorf("%d look-ups, want 4", table.asked)
		}
	})
}

// The table is read once for the gateways that reply while a batch is sent, and again for those that reply later.
func TestComparisonsAreMadeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &fakeTable{entry: egress.Neighbour{MAC: another, State: egress.Permanent}, found: true}
		view, wrong, paths := newKernelView(table), 0, make([]health.Path, 10)
		compared := &batch{end: func(e *endings) {
			for _, o := range e.results() {
				if o.Err != nil {
					wrong++
				}
			}
		}}
		release := view.gather()
		for i := range paths {
			paths[i] = gatewayPath
			paths[i].Key = health.Key{Uplink: strconv.Itoa(i)}
			if i == 8 {
				synctest.Wait()
				if table.asked != 0 {
					t.Error("the table is read while the batch is sent")
				}
				release()
			}
			if left := view.compareDue([]ending{{n: i, path: &paths[i], reply: reply{mac: heard}}}, compared); len(left) > 0 {
				t.Errorf("%d is not compared", i)
			}
			if i >= 8 {
				synctest.Wait()
			}
		}
		if table.asked > 3 || wrong != len(paths) {
			t.Errorf("the table is read %d times, %d are wrong", table.asked, wrong)
		}
	})
}

func TestTargetAddrOfAnAdvertisement(t *testing.T) {
	header := make([]byte, 24)
	header[0] = typeAdvertisement
	for name, c := range map[string]struct {
		options []byte
		want    string
	}{
		"none":             {nil, ""},
		"target":           {append([]byte{optionTargetAddr, 1}, heard...), heard},
		"behind another":   {append([]byte{14, 1, 0, 0, 0, 0, 0, 0, optionTargetAddr, 1}, heard...), heard},
		"an empty option":  {[]byte{optionTargetAddr, 0, 0, 0, 0, 0, 0, 0}, ""},
		"a short option":   {[]byte{optionTargetAddr, 1, 2}, ""},
		"too long a claim": {[]byte{14, 9, 0, 0, 0, 0, 0, 0}, ""},
	} {
		if got := targetAddr(append(append([]byte(nil), header...), c.options...)); string(got) != c.want {
			t.Errorf("%s: %x, want %x", name, got, c.want)
		}
	}
}

// slowTable answers for one link only after a while.
type slowTable struct {
	fakeTable
	slow            int
	begun, released chan struct{}
}

func (s *slowTable) Neighbours(of []egress.LinkAddr) []egress.NeighbourLookup {
	if of[0].Link == s.slow {
		close(s.begun)
		<-s.released
	}
	return []egress.NeighbourLookup{{Neighbour: s.entry, Found: s.found}}
}

func TestSlowComparisonHoldsUpNoOtherPath(t *testing.T) {
	table := &slowTable{fakeTable: fakeTable{entry: egress.Neighbour{MAC: another, State: egress.Permanent}, found: true}, slow: gatewayPath.Index,
		begun: make(chan struct{}), released: make(chan struct{})}
	view, slow := newKernelView(table), make(chan error)
	go func() { slow <- view.check(gatewayPath, heard) }()
	<-table.begun
	if err := view.check(gatewayPath, heard); err != nil {
		t.Errorf("a second comparison of the path, while one is in progress: %v", err)
	}
	other := gatewayPath
	other.Key, other.Index = health.Key{Uplink: "other"}, gatewayPath.Index+1
	if err := view.check(other, heard); err == nil {
		t.Error("no contradiction on the other path")
	}
	close(table.released)
	if err := <-slow; err == nil {
		t.Error("no contradiction on the slow path")
	}
}
