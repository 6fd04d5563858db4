package prover

import (
	"net/netip"
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
	if _, l := c.traced(first); l.found {
		t.Fatal("found before the first trace")
	}
	keep := func() {
		_, l := c.traced(nil)
		c.keepTraced([]tracedRequest{{first[0], []proof.Step{{Rule: "drop", Reply: true}}}, {taken: first[1]}}, l)
	}
	keep()
	second := takenTest(7, health.ReplyDropped)
	traced, l := c.traced(second)
	if !l.found {
		t.Fatal("the same requests of other peers are traced again")
	}
	if got := traced[0].stepsOf(second[0].Request); len(got) != 1 || got[0].Rule != "drop" || !got[0].Reply ||
		netip.AddrPortFrom(got[0].Peer, got[0].Port) != second[0].From {
		t.Errorf("%+v", got)
	}
	if _, l := c.traced(takenTest(7, health.FirewallDropped)); l.found {
		t.Error("found for another cause")
	}
	if _, l := c.traced(second[:1]); l.found {
		t.Error("found for fewer requests")
	}
	c.Invalidate()
	if _, l := c.traced(second); l.found {
		t.Error("found although rules have changed")
	}
	keep() // by the rules that were read before the change
	if _, l := c.traced(second); l.found {
		t.Error("a trace by older rules is kept")
	}
	if _, l := (*RuleCache)(nil).traced(first); l.found {
		t.Error("a nil cache has a trace")
	}
}
