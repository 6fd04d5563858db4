package marks_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

const group = 8200

// masks has masks of all kinds: low, high, one bit, all bits, unaligned.
var masks = []marks.Mask{marks.DefaultMask, 0xff00, 0xff, 0xff000000, 0x1, 0x80000000, 0xffffffff, 0x0ffff000}

// links returns n ingress links: eth1 with the first mark, eth2 with the second, ...
func links(mask marks.Mask, n int) []marks.Ingress {
	var all []marks.Ingress
	for id := 1; id <= min(n, int(mask.MaxID())); id++ {
		all = append(all, marks.Ingress{Link: fmt.Sprintf("eth%d", id), Mark: mask.Mark(marks.ID(id))})
	}
	return all
}

// seededRand returns a random source and logs its seed.
func seededRand(t *testing.T) *rand.Rand {
	const seed = 20
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

func eachMask(t *testing.T, check func(t *testing.T, mask marks.Mask, in []marks.Ingress, chains []marks.Chain)) {
	for _, mask := range masks {
		in := links(mask, 40)
		t.Run(mask.String(), func(t *testing.T) { check(t, mask, in, marks.Chains(mask, group, false, in)) })
	}
}

func TestInboundConnectionGetsIngressMarkAndReplyGetsSameFwmark(t *testing.T) {
	r := seededRand(t)
	eachMask(t, func(t *testing.T, mask marks.Mask, in []marks.Ingress, chains []marks.Chain) {
		for _, link := range in {
			foreignCt, foreignFw := r.Uint32()&^uint32(mask), r.Uint32()&^uint32(mask)
			request := markstest.Packet{In: link.Link, Group: group, Dir: "ORIGINAL", Ctmark: foreignCt, Fwmark: foreignFw}
			marked := request.Traverse(chains, marks.Pre)
			if marked.Ctmark != foreignCt|uint32(link.Mark) || marked.Fwmark != foreignFw|uint32(link.Mark) {
				t.Errorf("%+v became %+v, want the mark %s on both", request, marked, link.Mark)
			}
			reply := markstest.Packet{Dir: "REPLY", Ctmark: marked.Ctmark, Fwmark: foreignFw, In: "lan0"}
			for _, chain := range []string{marks.Pre, marks.Out} {
				if got := reply.Traverse(chains, chain); got.Fwmark != foreignFw|uint32(link.Mark) || got.Ctmark != marked.Ctmark {
					t.Errorf("%s: %+v became %+v, want the mark %s", chain, reply, got, link.Mark)
				}
			}
		}
	})
}

func TestMarkFollowsLatestIngressOfOriginalDirection(t *testing.T) {
	r := seededRand(t)
	for _, n := range []int{1, 2, 4, 5, 16, 31, 64, 65, 250, 255} {
		for range 20 {
			in := linksWithRandomIDs(r, wideMask, n)
			chains := marks.Chains(wideMask, group, false, in)
			before, now := in[r.IntN(n)], in[r.IntN(n)]
			foreign := r.Uint32() &^ uint32(wideMask)
			for _, assured := range []bool{false, true} {
				p := markstest.Packet{In: now.Link, Group: group, Dir: "ORIGINAL", Ctmark: foreign | uint32(before.Mark), Assured: assured}
				if got := p.Traverse(chains, marks.Pre); got.Ctmark != foreign|uint32(now.Mark) || got.Fwmark != uint32(now.Mark) {
					t.Fatalf("%d links: a packet by %s of a connection with the mark %s of %s became %+v, want the mark %s",
						n, now.Link, before.Mark, before.Link, got, now.Mark)
				}
				p.Dir = "REPLY"
				if got := p.Traverse(chains, marks.Pre); got.Ctmark != p.Ctmark || got.Fwmark != uint32(before.Mark) {
					t.Fatalf("%d links: a reply by %s of a connection with the mark %s became %+v", n, now.Link, before.Mark, got)
				}
			}
		}
	}
}

// linksWithRandomIDs returns n links with distinct ids.
func linksWithRandomIDs(r *rand.Rand, mask marks.Mask, n int) (all []marks.Ingress) {
	for i, id := range r.Perm(int(mask.MaxID()))[:n] {
		all = append(all, marks.Ingress{Link: fmt.Sprintf("eth%d", i), Mark: mask.Mark(marks.ID(id + 1))})
	}
	return all
}

func TestFwmarkOfLocalPacketIsSavedToConnection(t *testing.T) {
	r := seededRand(t)
	eachMask(t, func(t *testing.T, mask marks.Mask, in []marks.Ingress, chains []marks.Chain) {
		first, last := in[0], in[len(in)-1]
		foreignCt, foreignFw := r.Uint32()&^uint32(mask), r.Uint32()&^uint32(mask)
		p := markstest.Packet{Dir: "ORIGINAL", Ctmark: foreignCt, Fwmark: foreignFw | uint32(last.Mark)}
		saved := p.Traverse(chains, marks.Out)
		if saved.Ctmark != foreignCt|uint32(last.Mark) || saved.Fwmark != p.Fwmark {
			t.Errorf("%+v became %+v, want the mark %s on both", p, saved, last.Mark)
		}
		reply := markstest.Packet{In: last.Link, Group: group, Dir: "REPLY", Ctmark: saved.Ctmark}.Traverse(chains, marks.Pre)
		if reply.Fwmark != uint32(last.Mark) {
			t.Errorf("the reply is %+v, want the mark %s", reply, last.Mark)
		}
		kept := markstest.Packet{Dir: "REPLY", Ctmark: uint32(first.Mark), Fwmark: uint32(last.Mark)}.Traverse(chains, marks.Out)
		if kept.Ctmark != uint32(first.Mark) || kept.Fwmark != uint32(first.Mark) {
			t.Errorf("a packet with the mark %s of a connection with %s: %+v", last.Mark, first.Mark, kept)
		}
	})
}

func TestOnlyOriginalDirectionOnUplinksIsMarked(t *testing.T) {
	for what, p := range map[string]markstest.Packet{
		"a connection from the LAN":            {In: "lan0", Dir: "ORIGINAL"},
		"a reply to a connection of the host":  {In: "eth1", Group: group, Dir: "REPLY"},
		"an uplink that lost its group":        {In: "eth1", Dir: "ORIGINAL"},
		"a link of the group that has no mark": {In: "eth99", Group: group, Dir: "ORIGINAL"},
		"a packet of no connection":            {In: "eth1", Group: group},
	} {
		chains := marks.Chains(marks.DefaultMask, group, false, links(marks.DefaultMask, 31))
		if got := p.Traverse(chains, marks.Pre); got.Ctmark != 0 || got.Fwmark != 0 {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// A connection that a host inside began, with an address of an uplink's own network, gets the mark of that uplink when its
// replies come in by it. No other packet of a reply direction changes a mark.
func TestReplyToNetworkInsideSetsIngressMark(t *testing.T) {
	mask := marks.DefaultMask
	in := links(mask, 2)
	in[1].Inside = []netip.Prefix{netip.MustParsePrefix("192.0.2.64/28"), netip.MustParsePrefix("192.0.2.99/32")}
	chains := marks.Chains(mask, group, false, in)
	server := netip.MustParseAddr("192.0.2.77")
	for what, c := range map[string]struct {
		packet markstest.Packet
		want   uint32
	}{
		"a reply to the network inside":           {markstest.Packet{In: "eth2", Group: group, Dir: "REPLY", ReplyTo: server}, 0x200},
		"one of an established connection":        {markstest.Packet{In: "eth2", Group: group, Dir: "REPLY", ReplyTo: server, Assured: true}, 0x200},
		"one to a single address":                 {markstest.Packet{In: "eth2", Group: group, Dir: "REPLY", ReplyTo: netip.MustParseAddr("192.0.2.99")}, 0x200},
		"one by another uplink":                   {markstest.Packet{In: "eth1", Group: group, Dir: "REPLY", ReplyTo: server}, 0},
		"one by a link that is no uplink":         {markstest.Packet{In: "lan0", Dir: "REPLY", ReplyTo: server}, 0},
		"one of a connection with a mark":         {markstest.Packet{In: "eth2", Group: group, Dir: "REPLY", ReplyTo: server, Ctmark: 0x100}, 0x100},
		"a reply to this host":                    {markstest.Packet{In: "eth2", Group: group, Dir: "REPLY", ReplyTo: netip.MustParseAddr("192.0.2.2")}, 0},
		"what the host inside sends":              {markstest.Packet{In: "lan0", Dir: "ORIGINAL", ReplyTo: server}, 0},
		"a request that comes in by another link": {markstest.Packet{In: "eth1", Group: group, Dir: "ORIGINAL"}, 0x100},
	} {
		if got := c.packet.Traverse(chains, marks.Pre); got.Ctmark != c.want || got.Fwmark != c.want {
			t.Errorf("%s: %+v, want the mark %#x", what, got, c.want)
		}
	}
	for _, c := range marks.Chains(mask, group, false, links(mask, 2)) {
		if c.Name == marks.Inside {
			t.Error("there is a chain without a network inside")
		}
	}
}

func TestBitsOutsideMaskArePreserved(t *testing.T) {
	r := seededRand(t)
	eachMask(t, func(t *testing.T, mask marks.Mask, in []marks.Ingress, chains []marks.Chain) {
		for range 5000 {
			p := markstest.Packet{
				In: fmt.Sprintf("eth%d", r.IntN(42)), Out: fmt.Sprintf("eth%d", r.IntN(42)),
				Group: []uint32{0, group}[r.IntN(2)], Ctmark: r.Uint32(), Fwmark: r.Uint32(),
				Dir: []string{"ORIGINAL", "REPLY"}[r.IntN(2)], Assured: r.IntN(2) == 0,
			}
			for _, chain := range []string{marks.Pre, marks.Out, marks.Post} {
				got := p.Traverse(chains, chain)
				if (got.Ctmark^p.Ctmark)&^uint32(mask) != 0 || (got.Fwmark^p.Fwmark)&^uint32(mask) != 0 {
					t.Fatalf("%s: %+v became %+v", chain, p, got)
				}
				if chain == marks.Post && (got.Ctmark != p.Ctmark || got.Fwmark != p.Fwmark) {
					t.Fatalf("%s only counts, but %+v became %+v", chain, p, got)
				}
			}
		}
	})
}

func TestUnmarkedConnectionLeavesFwmarkUnchanged(t *testing.T) {
	chains := marks.Chains(marks.DefaultMask, group, false, links(marks.DefaultMask, 31))
	for chain, fwmark := range map[string]uint32{marks.Pre: 0xffffffff, marks.Out: 0xffffffff &^ uint32(marks.DefaultMask)} {
		p := markstest.Packet{In: "lan0", Dir: "ORIGINAL", Fwmark: fwmark, Ctmark: 0xffffffff &^ uint32(marks.DefaultMask)}
		if got := p.Traverse(chains, chain); got.Fwmark != p.Fwmark {
			t.Errorf("%s: a mark of another program became %#x", chain, got.Fwmark)
		}
	}
}

func TestEstablishedPacketIsTestedByFewRules(t *testing.T) {
	for n, mostOriginal := range map[int]int{1: 4, 2: 6, 4: 8, 16: 13, 31: 13, 255: 17} {
		var mask marks.Mask = 0xff00
		in := links(mask, n)
		if len(in) != n {
			t.Fatalf("%d links instead of %d", len(in), n)
		}
		chains := marks.Chains(mask, group, false, in)
		for _, link := range in {
			request := markstest.Packet{In: link.Link, Group: group, Dir: "ORIGINAL", Ctmark: uint32(link.Mark), Assured: true}
			if got := request.TraverseHook(chains, marks.Hooks[0]); got.RulesEvaluated > mostOriginal {
				t.Errorf("%d uplinks, a request by %s: %d rules, want at most %d", n, link.Link, got.RulesEvaluated, mostOriginal)
			}
			for i, most := range []int{3, 3, 1} {
				reply, h := markstest.Packet{In: "lan0", Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark), Assured: true}, marks.Hooks[i]
				if got := reply.TraverseHook(chains, h); got.RulesEvaluated > most {
					t.Errorf("%d uplinks, a reply, %s: %d rules, want at most %d", n, h.Builtin, got.RulesEvaluated, most)
				}
				reply.In, reply.Group = link.Link, group
				if got := reply.TraverseHook(chains, h); got.RulesEvaluated > most {
					t.Errorf("%d uplinks, a reply by %s, %s: %d rules, want at most %d", n, link.Link, h.Builtin, got.RulesEvaluated, most)
				}
			}
		}
	}
}

func TestEveryRuleParsesBack(t *testing.T) {
	eachMask(t, func(t *testing.T, mask marks.Mask, in []marks.Ingress, chains []marks.Chain) {
		for _, c := range chains {
			for _, rule := range c.Rules {
				got, err := marks.ParseRule(rule.String())
				if err != nil || got != rule {
					t.Errorf("%s: %q reads back as %+v, %v; want %+v", c.Name, rule, got, err, rule)
				}
			}
		}
	})
}

func TestMaskArithmetic(t *testing.T) {
	r := seededRand(t)
	for range 20000 {
		mask := marks.Mask(r.Uint32() & r.Uint32() >> r.IntN(32))
		low := bits.TrailingZeros32(uint32(mask))
		run := bits.OnesCount32(uint32(mask)) + low + bits.LeadingZeros32(uint32(mask))
		if got := mask.Contiguous(); got != (mask != 0 && run == 32) {
			t.Fatalf("%s: contiguous %v", mask, got)
		}
		if mask == 0 {
			continue
		}
		top, n := mask.MaxID(), r.IntN(33)
		if uint64(top) != min(uint64(mask)>>low, marks.MaxID) {
			t.Fatalf("%s: the largest id is %d", mask, top)
		}
		if high := mask.High(n); high&^mask != 0 || uint64(high) != uint64(mask)>>(low+n)<<(low+n) {
			t.Fatalf("%s without its low %d bits is %s", mask, n, high)
		}
	}
	for _, mask := range masks {
		seen := map[marks.Mark]bool{0: true}
		for id := 1; id <= int(mask.MaxID()); id++ {
			m := mask.Mark(marks.ID(id))
			if seen[m] || uint32(m)&^uint32(mask) != 0 {
				t.Errorf("%s: id %d has the mark %s", mask, id, m)
			}
			seen[m] = true
			if got := mask.ID(m); got != marks.ID(id) {
				t.Errorf("%s: the id of %s is %d, want %d", mask, m, got, id)
			}
		}
	}
}

// An ICMP error about a reply, by whichever uplink it comes in, changes no connection that has a mark, and gets that mark itself. What a
// helper of connection tracking expects (FTP) has the mark of its master, and follows its ingress.
func TestErrorByAnotherUplinkMovesNoConnection(t *testing.T) {
	for _, mask := range []marks.Mask{marks.DefaultMask, wideMask} {
		for _, n := range []int{2, 4, 5, 20, 31} {
			in := links(mask, n)
			first, last := in[0], in[n-1]
			for _, backend := range []marks.Backend{marks.Legacy, marks.Nftables} {
				for _, ipv6 := range []bool{false, true} {
					chains := marks.Layout(backend, mask, group, ipv6, in)
					proto := map[bool]string{false: "icmp", true: "ipv6-icmp"}[ipv6]
					for what, c := range map[string]struct {
						packet markstest.Packet
						want   marks.Mark
					}{
						"an error":                                    {markstest.Packet{Ctmark: uint32(first.Mark), State: "RELATED", Proto: proto}, first.Mark},
						"one about a connection without a mark":       {markstest.Packet{State: "RELATED", Proto: proto}, last.Mark},
						"an expected connection":                      {markstest.Packet{Ctmark: uint32(first.Mark), State: "RELATED", Proto: "tcp"}, last.Mark},
						"a packet of the client":                      {markstest.Packet{Ctmark: uint32(first.Mark), Proto: proto}, last.Mark},
						"an error that the uplink's own router sends": {markstest.Packet{Ctmark: uint32(last.Mark), State: "RELATED", Proto: proto}, last.Mark},
					} {
						c.packet.In, c.packet.Group, c.packet.Dir = last.Link, group, "ORIGINAL"
						if got := c.packet.Traverse(chains, marks.Pre); got.Ctmark != uint32(c.want) || got.Fwmark != uint32(c.want) {
							t.Errorf("mask %s, %d links, %s, %s: marks %#x and %#x, want %s", mask, n, backend, what, got.Ctmark, got.Fwmark, c.want)
						}
					}
				}
			}
		}
	}
}
