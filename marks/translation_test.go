package marks_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

// flag is the bit of connections that began inside.
const flag = 0x10000

// policies returns the outbound connections of the first n links, which translate sources. Each has a network of its own.
func policies(n int) marks.Outbound {
	o := marks.Outbound{Mask: wideMask, Flag: flag, Group: group, Masquerade: true}
	for i, in := range links(wideMask, n) {
		own := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i), 0}), 24)
		o.Egress = append(o.Egress, marks.Egress{Link: in.Link, Mark: in.Mark, Sources: []netip.Prefix{own}})
	}
	return o
}

// firstPacket returns the first packet of a connection that leaves by an uplink or by another link, from a network of the uplink's, of
// another one's, or of none.
func firstPacket(r *rand.Rand, o marks.Outbound) markstest.Packet {
	p := markstest.Packet{Dir: "ORIGINAL", In: "lan0", Out: []string{"lan0", "lo", "eth"}[r.IntN(3)], OrigFrom: netip.AddrFrom4([4]byte{198, 18, 0, 2})}
	if r.IntN(4) > 0 {
		i := r.IntN(len(o.Egress))
		p.Out, p.OutGroup = o.Egress[i].Link, o.Group
		if r.IntN(2) == 0 {
			p.OrigFrom = o.Egress[[]int{i, r.IntN(len(o.Egress))}[r.IntN(2)]].Sources[0].Addr().Next()
		}
	}
	if r.IntN(3) == 0 {
		p.Ctmark = uint32(o.Egress[r.IntN(len(o.Egress))].Mark)
	}
	return p
}

// A source is translated that is not the uplink's own, of a connection that began inside, and no other: whether it has got its mark or not.
func TestSourcesThatAreNotTheUplinksAreTranslated(t *testing.T) {
	r := seededRand(t)
	for _, n := range []int{1, 2, 16, 31, 250} {
		o := policies(n)
		own := map[string]marks.Egress{}
		for _, e := range o.Egress {
			own[e.Link] = e
		}
		for _, b := range []marks.Backend{marks.Legacy, marks.Nftables} {
			chains, translated := o.Layout(b), 0
			for range 2000 {
				p := firstPacket(r, o)
				inside := p.Ctmark == 0
				pinned := p.TraverseHook(chains, o.Hooks()[0])
				e, leaves := own[p.Out]
				if want := uint32(e.Mark) | flag; inside && leaves && pinned.Ctmark != want || !(inside && leaves) && pinned.Ctmark != p.Ctmark {
					t.Fatalf("%d links, %s: %+v got the mark %#x", n, b, p, pinned.Ctmark)
				}
				if r.IntN(4) == 0 {
					pinned = p
				}
				want := inside && leaves && !e.Sources[0].Contains(p.OrigFrom)
				if got := pinned.TraverseHook(chains, o.Hooks()[1]); got.Translated != want {
					t.Fatalf("%d links, %s: translated %t, want %t: %+v", n, b, got.Translated, want, got)
				}
				if want {
					translated++
				}
			}
			if translated == 0 {
				t.Errorf("%d links, %s: nothing was translated", n, b)
			}
		}
	}
}

// What an IPsec policy transforms keeps its source by any link, in the backup too, where the kernel has such policies; else no rule asks.
func TestIPsecKeepsSources(t *testing.T) {
	o := policies(31)
	o.IPsec = true
	b := marks.NewBackup(o.Mask, o.Flag, o.Group, o.Egress, nil)
	b.IPsec = true
	without := b
	without.IPsec = false
	for name, c := range map[string]struct{ with, without []marks.Chain }{
		"iptables": {o.Layout(marks.Legacy), policies(31).Layout(marks.Legacy)},
		"nftables": {o.Layout(marks.Nftables), policies(31).Layout(marks.Nftables)},
		"backup":   {b.NATChains(false), without.NATChains(false)},
	} {
		for _, e := range o.Egress {
			p := markstest.Packet{Dir: "ORIGINAL", Out: e.Link, IPsec: true, OrigFrom: netip.AddrFrom4([4]byte{198, 18, 0, 2})}
			if got := p.Traverse(c.with, marks.Masq); got.Translated || got.RulesEvaluated != 1 {
				t.Errorf("%s: %+v, want it to return at the first rule", name, got)
			}
			if !p.Traverse(c.without, marks.Masq).Translated {
				t.Errorf("%s: %+v is not translated without the rule", name, p)
			}
			if p.IPsec = false; !p.Traverse(c.with, marks.Masq).Translated {
				t.Errorf("%s: %+v is not translated", name, p)
			}
		}
	}
	if again := marks.BackupOf(o.Mask, o.Flag, o.Layout(marks.Legacy), nil); !again.IPsec {
		t.Errorf("the backup of the chains is %+v", again)
	}
}

// With maps the first packet of a connection is tested by no more rules when there are more uplinks, and with chains by those of its
// way down the tree of names.
func TestTranslationIsFlatInTheNumberOfUplinks(t *testing.T) {
	for b, most := range map[marks.Backend]map[int]int{marks.Legacy: {2: 6, 31: 19, 250: 34}, marks.Nftables: {2: 4, 31: 4, 250: 4}} {
		for n, most := range most {
			o := policies(n)
			chains := o.Layout(b)
			for _, e := range o.Egress {
				p := markstest.Packet{Dir: "ORIGINAL", Out: e.Link, Ctmark: uint32(e.Mark) | flag, OrigFrom: netip.AddrFrom4([4]byte{198, 18, 0, 2})}
				if got := p.TraverseHook(chains, o.Hooks()[1]); !got.Translated || got.RulesEvaluated > most {
					t.Errorf("%d links, %s: %+v, want at most %d rules", n, b, got, most)
				}
			}
		}
	}
}

// All chains of translation are in the table nat, none of the others is.
func TestTranslationHasItsOwnTable(t *testing.T) {
	o := policies(250)
	for _, b := range []marks.Backend{marks.Legacy, marks.Nftables} {
		for _, c := range marks.Layout(b, wideMask, group, false, links(wideMask, 250)) {
			if got := marks.TableOf(c.Name); got != marks.MangleTable {
				t.Errorf("%s is in %s", c.Name, got)
			}
		}
		without := o
		without.Masquerade = false
		translates := map[string]bool{}
		for _, c := range o.Layout(b) {
			translates[c.Name] = true
		}
		for _, c := range without.Layout(b) {
			translates[c.Name] = false
		}
		for name, translates := range translates {
			if in := marks.TableOf(name) == marks.MasqTable; in != translates {
				t.Errorf("%s is in %s", name, marks.TableOf(name))
			}
			if len(name) > 28 {
				t.Errorf("%s is longer than iptables allows", name)
			}
		}
	}
}
