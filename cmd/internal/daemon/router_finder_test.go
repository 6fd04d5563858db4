package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// keptRouters is a foundRouterTable with as many ids.
type keptRouters struct {
	ids     int
	all     []uplinks.FoundRouter
	unsaved error
	moved   [][2]marks.Mark // from and to
}

// MoveMark implements foundRouterTable.
func (k *keptRouters) MoveMark(from, to marks.Mark, _ marks.Mask) error {
	k.moved = append(k.moved, [2]marks.Mark{from, to})
	return nil
}

// UnsavedRouters implements foundRouterTable.
func (k *keptRouters) UnsavedRouters() error { return k.unsaved }

// AddFoundRouter implements foundRouterTable.
func (k *keptRouters) AddFoundRouter(uplink, mac string, avoid map[marks.ID]bool) (uplinks.FoundRouter, bool) {
	for id := marks.ID(31); id > 31-marks.ID(k.ids); id-- {
		if !avoid[id] && !slices.ContainsFunc(k.all, func(r uplinks.FoundRouter) bool { return r.ID == id }) {
			r := uplinks.FoundRouter{Uplink: uplink, MAC: mac, ID: id}
			k.all = append(k.all, r)
			return r, true
		}
	}
	return uplinks.FoundRouter{}, false
}

// ForgetFoundRouters implements foundRouterTable.
func (k *keptRouters) ForgetFoundRouters(all []uplinks.FoundRouter) {
	k.all = slices.DeleteFunc(k.all, func(r uplinks.FoundRouter) bool { return slices.Contains(all, r) })
}

// newTestSearch returns a search whose routers are in force once they are found, with the connections that use has.
func newTestSearch(ids int, use map[marks.Mark]rtnl.MarkUse) (*routerSearch, *keptRouters) {
	table := &keptRouters{ids: ids}
	f := newRouterFinder(table, newRoundQueue(), discardLog)
	f.mask = marks.DefaultMask
	f.inUse = func(context.Context, rtnl.MarkFilter, marks.Mask) (map[marks.Mark]rtnl.MarkUse, error) {
		return use, nil
	}
	s := &routerSearch{finder: f, lookUps: tokenBucket{burst: lookUpBurst, rate: lookUpRate}}
	s.candidates.taken = tokenBucket{burst: routerBurst, rate: routerRate}
	return s, table
}

// find takes the router at a time, and puts it in force.
func (s *routerSearch) find(table *keptRouters, mac string, at time.Time) {
	s.take(context.Background(), &candidate{link: "eth1", mac: mac}, foundLink{uplink: "dsl", first: 2}, at)
	s.finder.inForce = slices.Clone(table.all)
}

func TestRoutersWithoutConnectionsAreForgotten(t *testing.T) {
	mask := marks.DefaultMask
	s, table := newTestSearch(3, map[marks.Mark]rtnl.MarkUse{mask.Mark(30): {Connections: 1}})
	now := time.Now()
	s.find(table, "02:00:00:00:00:01", now)
	s.find(table, "02:00:00:00:00:02", now)
	s.finder.countUse(t.Context(), now.Add(unusedTime))
	if len(table.all) != 2 {
		t.Errorf("after %s: %v", unusedTime, table.all)
	}
	s.finder.countUse(t.Context(), now.Add(unusedTime+time.Second))
	if len(table.all) != 1 || table.all[0].ID != 30 || len(s.finder.status("dsl")) != 1 || s.finder.status("dsl")[0].Connections != 1 {
		t.Errorf("later: %v, status %+v", table.all, s.finder.status("dsl"))
	}
}

// Without a free id, a router replaces the oldest one without a live connection, after a while.
func TestFullTableOfRoutersGivesWayToNewOnes(t *testing.T) {
	mask := marks.DefaultMask
	s, table := newTestSearch(2, map[marks.Mark]rtnl.MarkUse{mask.Mark(31): {Connections: 2, Live: 1}, mask.Mark(30): {Connections: 5}})
	now := time.Now()
	s.find(table, "02:00:00:00:00:01", now)
	s.find(table, "02:00:00:00:00:02", now)
	s.finder.countUse(t.Context(), now)
	macs := func() (all []string) {
		for _, r := range table.all {
			all = append(all, r.MAC[len(r.MAC)-2:])
		}
		slices.Sort(all)
		return all
	}
	s.find(table, "02:00:00:00:00:03", now.Add(evictionAge-time.Second))
	if got := macs(); !slices.Equal(got, []string{"01", "02"}) {
		t.Errorf("early: %v", got)
	}
	s.find(table, "02:00:00:00:00:03", now.Add(evictionAge+evictionPause))
	if got := macs(); !slices.Equal(got, []string{"01", "03"}) {
		t.Errorf("later: %v", got)
	}
}

func TestRateOfNewRoutersIsBounded(t *testing.T) {
	c := tokenBucket{burst: routerBurst, rate: routerRate}
	now, taken := time.Now(), 0
	for range 100 {
		if c.take(now) {
			taken++
		}
	}
	for range 100 {
		if now = now.Add(100 * time.Millisecond); c.take(now) {
			taken++
		}
	}
	if taken < routerBurst+19 || taken > routerBurst+21 {
		t.Errorf("%d routers are taken in 10 seconds", taken)
	}
}

func TestCandidatesAreBounded(t *testing.T) {
	var c candidates
	now := time.Now()
	flow := func(port uint16) sentPacket {
		p := sentPacket{mac: "02:00:00:00:00:01"}
		p.From = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.9"), port)
		return p
	}
	for i := range 2 * maxCandidates {
		p := flow(1)
		p.mac = fmt.Sprintf("02:00:00:00:01:%02x", i)
		c.add("eth1", p, now)
	}
	if len(c.all) != maxCandidates {
		t.Errorf("there are %d candidates", len(c.all))
	}
	if len(c.due(now.Add(candidateTime+time.Second))) != 0 || len(c.all) != 0 {
		t.Errorf("%d candidates are left", len(c.all))
	}
	for port := range uint16(2 * maxFlows) {
		c.add("eth1", flow(port), now)
	}
	if len(c.all) != 1 || len(c.all[0].flows) != maxFlows {
		t.Errorf("%+v", c.all)
	}
}

func TestFramesOfUnknownRoutersAreParsed(t *testing.T) {
	ethernet := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}
	ipv4 := func(proto byte, fragment byte, body ...byte) []byte {
		header := []byte{0x45, 0, 0, byte(20 + len(body)), 0, 0, 0, fragment, 64, proto, 0, 0, 203, 0, 113, 9, 192, 0, 2, 2}
		return slices.Concat(ethernet, header, body)
	}
	syn := []byte{4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, tcpSYN, 0, 0, 0, 0, 0, 0}
	p, ok := parseFrame(append(ipv4(6, 0, syn...), 1, 2, 3)) // padded
	if !ok || p.mac != "02:00:00:00:00:01" || p.From.String() != "203.0.113.9:1024" || p.To.String() != "192.0.2.2:80" || !slices.Equal(p.syn, syn) {
		t.Errorf("a SYN: %v, %+v", ok, p)
	}
	if p, ok := parseFrame(ipv4(1, 0, 8, 0, 0, 0, 1, 2, 0, 0)); !ok || p.From.Port() != 0x102 || p.syn != nil {
		t.Errorf("an echo request: %v, %+v", ok, p)
	}
	for name, frame := range map[string][]byte{
		"a fragment": ipv4(17, 1, 4, 0, 0, 53), "an error": ipv4(1, 0, 3, 0, 0, 0, 1, 2), "an echo reply": ipv4(1, 0, 0, 0, 0, 0, 1, 2),
		"a group's sender": slices.Concat([]byte{2, 0, 0, 0, 0, 2, 0x33, 0x33, 0, 0, 0, 1}, ipv4(17, 0, 4, 0, 0, 53)[12:]),
		"no sender":        slices.Concat([]byte{2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}, ipv4(17, 0, 4, 0, 0, 53)[12:]),
		"a short frame":    ethernet, "no ports": ipv4(17, 0, 4), "another protocol": append(slices.Clone(ethernet), make([]byte, 40)...),
		"a long header": slices.Concat(ethernet, []byte{0x4f}, make([]byte, 20)),
	} {
		if p, ok := parseFrame(frame); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
