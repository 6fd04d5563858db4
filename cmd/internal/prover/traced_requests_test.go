package prover

import (
	"net/netip"
	"slices"
	"testing"

	"replypath/health"
	"replypath/health/proof"
)

// takenTest returns requests whose replies were lost, as a proof with this number makes them.
func takenTest(number byte, cause health.Cause) []takenRequest {
	from := func(n byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, n}), 40000+uint16(number))
	}
	host := netip.MustParseAddr("192.0.2.2")
	return []takenRequest{
		{proof.Request{Kind: proof.Closed, Proto: "tcp", From: from(number), To: netip.AddrPortFrom(host, 9)}, cause},
		{proof.Request{Kind: proof.Datagram, Proto: "udp", From: from(number + 1), To: netip.AddrPortFrom(host, 50000+uint16(number))}, cause},
	}
}

// The rules that requests have matched are those of the next proof, with its peers, as long as the same requests are lost for the same
// cause and no rule changes.
func TestTracedRulesAreKeptUntilSomethingChanges(t *testing.T) {
	var c RuleCache
	first := takenTest(1, health.ReplyDropped)
	if l := c.traced(first); len(l.known) != 0 || !slices.Equal(l.unknown, first) {
		t.Fatal("found before the first trace")
	}
	keep := func() {
		c.keepTraced([]tracedRequest{{taken: first[0], steps: []proof.Step{{Rule: "drop", Reply: true}}}, {taken: first[1]}}, c.traced(nil))
	}
	keep()
	second := takenTest(7, health.ReplyDropped)
	l := c.traced(second)
	if len(l.known) != 2 || len(l.unknown) != 0 {
		t.Fatal("the same requests of other peers are traced again")
	}
	if got := l.known[0].stepsOf(l.known[0].taken.Request); len(got) != 1 || got[0].Rule != "drop" || !got[0].Reply ||
		netip.AddrPortFrom(got[0].Peer, got[0].Port) != second[0].From {
		t.Errorf("%+v", got)
	}
	if l := c.traced(takenTest(7, health.FirewallDropped)); len(l.known) != 0 {
		t.Error("found for another cause")
	}
	mixed := []takenRequest{second[1], takenTest(7, health.FirewallDropped)[0]}
	if l := c.traced(mixed); len(l.known) != 1 || l.known[0].taken != mixed[0] || !slices.Equal(l.unknown, mixed[1:]) {
		t.Errorf("one of two requests is new: %+v", l)
	}
	c.Invalidate()
	if l := c.traced(second); len(l.known) != 0 {
		t.Error("found although rules have changed")
	}
	keep() // by the rules that were read before the change
	if l := c.traced(second); len(l.known) != 0 {
		t.Error("a trace by older rules is kept")
	}
	if l := (*RuleCache)(nil).traced(first); len(l.known) != 0 || len(l.unknown) != 2 {
		t.Error("a nil cache has a trace")
	}
}

// Requests that are lost by turns are traced once each.
func TestTracesOfEarlierProofsAreKept(t *testing.T) {
	var c RuleCache
	for n := range 3 * maxKept {
		q := takenTest(1, health.ReplyDropped)[:1]
		q[0].To = netip.AddrPortFrom(q[0].To.Addr(), uint16(n%3+1))
		l := c.traced(q)
		if known := n >= 3; (len(l.known) == 1) != known {
			t.Fatalf("proof %d: known %v, want %v", n, l.known, known)
		}
		if len(l.unknown) > 0 {
			c.keepTraced([]tracedRequest{{taken: q[0]}}, l)
		}
	}
	for n := range 3 * maxKept {
		q := takenTest(1, health.ReplyDropped)[:1]
		q[0].To = netip.AddrPortFrom(q[0].To.Addr(), uint16(n+1))
		c.keepTraced([]tracedRequest{{taken: q[0]}}, c.traced(q))
	}
	if len(c.requests) > maxKept {
		t.Errorf("%d traces are kept", len(c.requests))
	}
}
