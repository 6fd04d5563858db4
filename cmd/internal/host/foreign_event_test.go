package host_test

import (
	"context"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
)

// eventChannel is an EventHandler that sends events.
type eventChannel chan host.Event

func (c eventChannel) HandleEvent(e host.Event) { c <- e }

// watch starts a subscription, and returns its events from when it has begun.
func (r *kernelWorld) watch(t *testing.T, source host.EventSource) <-chan host.Event {
	t.Helper()
	events, done := make(eventChannel, 1000), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		r.gateway.Do(func() { source.Watch(ctx, events) })
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	<-events
	return events
}

// TestForeignChangesAreAnnounced checks that what may change where replies go is announced although it is not replypath's.
func TestForeignChangesAreAnnounced(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	links, output := r.watch(t, r.host.LinkEvents()), r.watch(t, r.host.OutputEvents())
	for _, c := range []struct {
		events          <-chan host.Event
		subject, script string
	}{
		{links, "route", "ip route add 203.0.113.0/25 dev eth1 table 99"},
		{links, "route", "ip -6 route add 2001:db8:c::/64 via fe80::77 dev eth1"},
		{links, "route", "ip route del local 192.0.2.2 table local"},
		{links, "traffic control", "tc qdisc add dev eth1 clsact"},
		{links, "traffic control", "tc filter add dev eth1 egress protocol ip u32 match u32 0 0 action mirred egress mirror dev eth0"},
		{output, "IPsec policy", "ip xfrm policy add src 192.0.2.2 dir out action block"},
		{output, "IPsec policy", "ip xfrm policy flush"},
		{output, "neighbour", "ip neigh add 198.18.0.9 lladdr 02:00:00:00:00:99 dev lan0 nud permanent"},
		{output, "neighbour", "ip -6 neigh add fe80::99 lladdr 02:00:00:00:00:99 dev eth1 nud reachable; ip -6 neigh replace fe80::99 lladdr 02:00:00:00:00:98 dev eth1 nud permanent"},
	} {
		r.gateway.Run("sh", "-ec", c.script)
		for found := false; !found; {
			select {
			case e := <-c.events:
				found = e.Subject == c.subject && e.Foreign
			case <-time.After(time.Minute):
				t.Fatalf("%s: no event", c.script)
			}
		}
	}
}

// TestUsualNeighboursAreNotAnnounced adds a permanent entry after some others, and wants one event.
func TestUsualNeighboursAreNotAnnounced(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	events := r.watch(t, r.host.OutputEvents())
	r.gateway.Run("sh", "-ec", `for n in 10 11 12 13; do ip neigh add 198.18.0.$n lladdr 02:00:00:00:00:99 dev lan0 nud reachable; ip neigh del 198.18.0.$n dev lan0; done
		ip neigh add 198.18.0.9 lladdr 02:00:00:00:00:99 dev lan0 nud permanent; ip xfrm policy add src 192.0.2.2 dir out action block`)
	seen := map[string]int{}
	for seen["neighbour"] == 0 || seen["IPsec policy"] == 0 {
		select {
		case e := <-events:
			seen[e.Subject]++
		case <-time.After(time.Minute):
			t.Fatalf("events: %v", seen)
		}
	}
	if seen["neighbour"] != 1 {
		t.Errorf("events: %v, want one of a neighbour", seen)
	}
}
