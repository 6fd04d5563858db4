package egress

import (
	"net/netip"
	"testing"
)

func policy(d Direction, from, to string, priority uint32) Policy {
	return Policy{Direction: d, From: netip.MustParsePrefix(from), To: netip.MustParsePrefix(to), Priority: priority}
}

func TestPolicyWithTheLowestPriorityDecides(t *testing.T) {
	block := policy(Out, "192.0.2.2/32", "203.0.113.0/24", 5)
	block.Block = true
	port := policy(Out, "0.0.0.0/0", "0.0.0.0/0", 1)
	port.Proto, port.Sport, port.SportMask = protoTCP, 22, 0xffff
	link := policy(Out, "0.0.0.0/0", "0.0.0.0/0", 1)
	link.Link = other
	mark := policy(Out, "0.0.0.0/0", "0.0.0.0/0", 1)
	mark.Mark, mark.Mask = 0x100, 0xff00
	interfaces := policy(Out, "0.0.0.0/0", "0.0.0.0/0", 1)
	interfaces.Interface = 7
	s := State{Policies: []Policy{port, link, mark, interfaces, policy(In, "0.0.0.0/0", "0.0.0.0/0", 1), policy(Out, "0.0.0.0/0", "0.0.0.0/0", 9), block, policy(Out, "::/0", "::/0", 7)}}
	if p, found := s.FindPolicy(Out, reply4); !found || p != block {
		t.Errorf("IPv4: %v %v", found, p)
	}
	if p, found := s.FindPolicy(Out, reply6); !found || p.Priority != 7 {
		t.Errorf("IPv6: %v %v", found, p)
	}
	if p, found := s.FindPolicy(Forward, reply4); found {
		t.Errorf("forwarded: %v", p)
	}
	reply := reply4
	reply.From = netip.AddrPortFrom(reply.From.Addr(), 22)
	if p, _ := s.FindPolicy(Out, reply); p != port {
		t.Errorf("port 22: %v", p)
	}
}

func TestPoliciesThatPass(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		want bool
	}{
		{Policy{Direction: Out}, true},
		{Policy{Direction: Out, Block: true}, false},
		{Policy{Direction: Out, Templates: 1}, false},
		{Policy{Direction: Out, Templates: 1, Optional: true}, false},
		{Policy{Direction: In, Templates: 1, Optional: true}, true},
		{Policy{Direction: In, Templates: 1}, false},
	} {
		if got := c.p.Passes(); got != c.want {
			t.Errorf("%s: %v", c.p, got)
		}
	}
}

func TestTextOfPoliciesAndNeighbours(t *testing.T) {
	p := policy(Out, "192.0.2.2/32", "203.0.113.0/24", 0)
	p.Block = true
	if got, want := p.String(), "src 192.0.2.2/32 dst 203.0.113.0/24 dir out action block priority 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s := State{Links: links, Neighbours: []Neighbour{{uplink, netip.MustParseAddr("192.0.2.1"), "\x02\x00\x00\x00\x00\x99", Permanent, 0}}}
	n, found := s.FindNeighbour(uplink, netip.MustParseAddr("192.0.2.1"))
	if got, want := s.NeighbourText(n), "192.0.2.1 dev eth1 lladdr 02:00:00:00:00:99 PERMANENT"; !found || got != want {
		t.Errorf("%v %q, want %q", found, got, want)
	}
	if _, found := s.FindNeighbour(other, netip.MustParseAddr("192.0.2.1")); found {
		t.Error("found on another link")
	}
}
