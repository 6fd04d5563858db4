package marks_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

// routerSets returns hardware addresses of n routers, as makers give them and as an attacker would choose them.
func routerSets(r *rand.Rand, n int) map[string][]string {
	sets := map[string][]string{}
	add := func(kind string, number uint64) {
		mac := fmt.Sprintf("%012x", number&^(1<<40))
		sets[kind] = append(sets[kind], strings.Join([]string{mac[:2], mac[2:4], mac[4:6], mac[6:8], mac[8:10], mac[10:]}, ":"))
	}
	for i := range uint64(n) {
		add("one after the other", 0x02005e000000+i)
		add("random", r.Uint64()&0xfefff<<24|i<<16|r.Uint64()&0xffff)
		add("different at the beginning", i<<41|0x0abbccdd)
		add("two bits each", 1<<(i%38)|1<<(i%38+1+i/38))
	}
	return sets
}

// manyRouters returns an uplink, and a link with two uplinks and many routers; and further links with an uplink each.
func manyRouters(macs []string, others int) (all []marks.Ingress) {
	add := func(id int, link string, tree bool, routers ...string) {
		all = append(all, marks.Ingress{Link: link, Mark: wideMask.Mark(marks.ID(id)), Routers: routers, Tree: tree})
	}
	add(1, "eth0", false, "02:00:00:00:00:01")
	add(2, "eth1", false, routerA, "02:00:00:00:0a:02")
	add(3, "eth1", false, routerB)
	for n := range others {
		add(4+n, fmt.Sprintf("wan%d", n), false)
	}
	for i, mac := range macs {
		add(255-i, "eth1", true, mac)
	}
	return all
}

// Whatever comes in gets the same marks by a tree, by a map, and by the list of all routers.
func TestTreeOfRoutersDoesWhatTheListDoes(t *testing.T) {
	r := seededRand(t)
	for _, n := range []int{1, marks.MaxLinear, marks.MaxLinear + 1, 31, 240} {
		for kind, macs := range routerSets(r, n) {
			for _, others := range []int{0, 9} {
				in := manyRouters(macs, others)
				list := slices.Clone(in)
				for i := range list {
					list[i].Tree = false
				}
				want := marks.Chains(wideMask, group, false, list)
				senders := append(slices.Clone(macs), routerA, routerB, unknownRouter, "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff")
				for name, chains := range map[string][]marks.Chain{"tree": marks.Chains(wideMask, group, false, in), "map": marks.MapChains(wideMask, group, false, in)} {
					for range 1000 {
						p := markstest.Packet{In: in[r.IntN(len(in))].Link, MAC: senders[r.IntN(len(senders))], Group: group, Dir: "ORIGINAL",
							Ctmark: uint32(wideMask.Mark(marks.ID(r.IntN(256)))) | 1, State: []string{"", "RELATED"}[r.IntN(2)]}
						if r.IntN(3) == 0 {
							p.Ctmark = 0
						}
						want, got := p.Traverse(want, marks.Pre), p.Traverse(chains, marks.Pre)
						if got.Ctmark != want.Ctmark || got.Fwmark&uint32(wideMask) != want.Fwmark&uint32(wideMask) {
							t.Fatalf("%d routers %s, %d other links, by the %s: %+v became\n%+v, want\n%+v", n, kind, others, name, p, got, want)
						}
					}
				}
			}
		}
	}
}

// The number of rules that a packet meets grows with the logarithm of the number of routers; those of the configured ones, with the
// number of these.
func TestPacketsOfManyRoutersMeetFewRules(t *testing.T) {
	for n, most := range map[int]struct{ known, near, unknown int }{16: {20, 19, 28}, 31: {20, 21, 31}, 240: {24, 23, 36}} {
		macs := routerSets(rand.New(rand.NewPCG(1, 2)), n)["random"]
		in := manyRouters(macs, 0)
		tree, mapped := marks.Chains(wideMask, group, false, in), marks.MapChains(wideMask, group, false, in)
		meets := func(chains []marks.Chain, mac string, id int) int {
			p := markstest.Packet{In: "eth1", MAC: mac, Group: group, Dir: "ORIGINAL", Ctmark: uint32(wideMask.Mark(marks.ID(id)))}
			return p.Traverse(chains, marks.Pre).RulesEvaluated
		}
		got := most
		got.known, got.near, got.unknown = 0, 0, 0
		for i, mac := range macs {
			for _, c := range []struct {
				mac  string
				id   int
				most *int
			}{{mac, 255 - i, &got.known}, {mac, 0, &got.known}, {mac, 1, &got.known}, {unknownRouter, 2, &got.near}, {unknownRouter, 0, &got.unknown}, {unknownRouter, 255 - i, &got.unknown}} {
				*c.most = max(*c.most, meets(tree, c.mac, c.id))
				if got := meets(mapped, c.mac, c.id); got > 6 {
					t.Errorf("%d routers: a packet of %s with the mark of %d meets %d rules, by a map", n, c.mac, c.id, got)
				}
			}
		}
		if got.known > most.known || got.near > most.near || got.unknown > most.unknown {
			t.Errorf("%d routers: packets meet %+v rules at most, want %+v", n, got, most)
		}
		if got := meets(tree, routerB, 0); got > 10 {
			t.Errorf("%d routers: a packet of a configured router meets %d rules", n, got)
		}
	}
}

// A router that comes or goes changes the chain that has it, and few others.
func TestOneMoreRouterChangesFewChains(t *testing.T) {
	r := seededRand(t)
	for kind, macs := range routerSets(r, 240) {
		before, after := marks.Chains(wideMask, group, false, manyRouters(macs[:239], 0)), marks.Chains(wideMask, group, false, manyRouters(macs, 0))
		changed := 0
		for _, c := range after {
			i := slices.IndexFunc(before, func(b marks.Chain) bool { return b.Name == c.Name })
			if i < 0 || !slices.Equal(before[i].Rules, c.Rules) {
				changed++
			}
		}
		// Its chains IN and S, the groups of its mark, and those of the tree.
		if changed > 12 {
			t.Errorf("%s: %d chains have changed", kind, changed)
		}
		for _, c := range after {
			if len(c.Name) > 28 {
				t.Errorf("%s: iptables does not allow the name %s", kind, c.Name)
			}
		}
	}
}

// Few routers, and those that cannot be compared in a tree, are compared one after the other.
func TestFewRoutersMakeNoTree(t *testing.T) {
	for n, tree := range map[int]bool{marks.MaxLinear: false, marks.MaxLinear + 1: true} {
		macs := routerSets(seededRand(t), n)["one after the other"]
		if got := strings.Contains(fmt.Sprint(marks.Chains(wideMask, group, false, manyRouters(macs, 0))), "bpf"); got != tree {
			t.Errorf("%d routers: tree is %t", n, got)
		}
	}
}

func TestMACBitIsParsedAsWritten(t *testing.T) {
	for bit := uint8(1); bit <= 48; bit++ {
		r := marks.Rule{MACBit: bit, Action: marks.Action{Kind: marks.Goto, Chain: "REPLYPATH-R2-1"}}
		if got, err := marks.ParseRule(r.String()); err != nil || got != r {
			t.Errorf("%s: %+v, %v", r, got, err)
		}
		program := marks.MACBitProgram(bit)
		if got := marks.MACBitOf(program[:]); got != bit {
			t.Errorf("bit %d is read as %d", bit, got)
		}
		if _, err := r.NFT(false); err == nil {
			t.Errorf("%s has a form of nftables", r)
		}
	}
	program := marks.MACBitProgram(7)
	for name, other := range map[string][]marks.BPFInstruction{"shorter": program[:3], "longer": append(program[:], program[0]), "none": nil} {
		if bit := marks.MACBitOf(other); bit != 0 {
			t.Errorf("a program that is %s has the bit %d", name, bit)
		}
	}
	for _, text := range []string{`"4,48 0 0 4292870155,69 0 1 128,6 0 0 1,6 0 0 1"`, `"1,6 0 0 1"`, `4`, `"4,48`} {
		if r, err := marks.ParseRule("-m bpf --bytecode " + text + " -j RETURN"); err == nil {
			t.Errorf("%s is read as %+v", text, r)
		}
	}
}
