package marks_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

// A packet of any kind leaves both layouts with the same marks, and is counted by the same rule.
func TestMapsDoWhatChainsDo(t *testing.T) {
	r := seededRand(t)
	for _, mask := range masks {
		for _, n := range []int{1, 2, 5, 31, 255} {
			in := links(mask, n)
			in[len(in)-1].Inside = []netip.Prefix{netip.MustParsePrefix("192.0.2.64/28")}
			chains, mapped := marks.Chains(mask, group, false, in), marks.MapChains(mask, group, false, in)
			for range 400 {
				p := randomPacket(r, mask, in)
				for _, h := range marks.Hooks {
					want, got := p.TraverseHook(chains, h), p.TraverseHook(mapped, h)
					if want.Ctmark != got.Ctmark || want.Fwmark != got.Fwmark || counted(want, 1) != counted(got, 2) {
						t.Fatalf("mask %s, %d links, %s: %+v became\n%+v by the chains and\n%+v by the maps", mask, n, h.Builtin, p, want, got)
					}
				}
			}
		}
	}
}

// randomPacket returns a packet of a connection whose mark, if any, is that of a link.
func randomPacket(r *rand.Rand, mask marks.Mask, in []marks.Ingress) markstest.Packet {
	link := func() (name string, group uint32, mark uint32) {
		if r.IntN(4) == 0 {
			return []string{"lan0", "lo", "eth"}[r.IntN(3)], 0, 0
		}
		l := in[r.IntN(len(in))]
		return l.Link, 8200, uint32(l.Mark)
	}
	var p markstest.Packet
	p.In, p.Group, _ = link()
	p.Out, _, _ = link()
	_, _, p.Ctmark = link()
	_, _, p.Fwmark = link()
	if foreign := r.Uint32() &^ uint32(mask); r.IntN(2) == 0 {
		p.Ctmark |= foreign
		p.Fwmark |= r.Uint32() &^ uint32(mask)
	}
	p.Dir, p.Assured = []string{"ORIGINAL", "REPLY"}[r.IntN(2)], r.IntN(2) == 0
	p.State, p.Proto = []string{"", "", "RELATED"}[r.IntN(3)], []string{"icmp", "tcp"}[r.IntN(2)]
	p.ReplyTo = netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))})
	return p
}

// counted returns the counter of the packet, if it has been counted: stray is the index of the rule that counts strays.
func counted(p markstest.Packet, stray int) string {
	var chain string
	var rule int
	fmt.Sscanf(p.MatchedBy, "%s %d", &chain, &rule)
	switch _, is := marks.ParseCounterChain(chain); {
	case is && rule == 1:
		return chain + " symmetric"
	case is && rule == stray+1:
		return chain + " stray"
	}
	return ""
}

// No packet of an established connection is tested by more than three rules, and that of a map's element.
func TestMapsTestEachPacketByFewRules(t *testing.T) {
	for _, n := range []int{1, 31, 255} {
		in := links(wideMask, n)
		chains := marks.MapChains(wideMask, group, false, in)
		for _, link := range in {
			for _, p := range []markstest.Packet{
				{In: link.Link, Group: group, Dir: "ORIGINAL", Ctmark: uint32(link.Mark), Assured: true},
				{In: "lan0", Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark), Assured: true},
				{In: "lan0", Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark), Fwmark: 0x10},
			} {
				for _, h := range marks.Hooks {
					if got := p.TraverseHook(chains, h); got.RulesEvaluated > 5 {
						t.Errorf("%d links, %s: %+v", n, h.Builtin, got)
					}
				}
			}
		}
	}
}

// A link that comes changes the maps and no chain of another link, so that the counters of others go on.
func TestMapsOfOneMoreLink(t *testing.T) {
	before, after := marks.MapChains(wideMask, group, false, links(wideMask, 30)), marks.MapChains(wideMask, group, false, links(wideMask, 31))
	for _, c := range before {
		i := slices.IndexFunc(after, func(a marks.Chain) bool { return a.Name == c.Name })
		if i < 0 || !marks.IsMap(c.Name) && !slices.Equal(after[i].Rules, c.Rules) {
			t.Errorf("%s is not as before", c.Name)
		}
	}
}
