package marks_test

import (
	"net/netip"
	"testing"

	"replypath/marks"
)

// A packet of any kind leaves a base chain with a gate, and without, with the same marks, and is counted by the same rule.
func TestGatesChangeNoPacket(t *testing.T) {
	r := seededRand(t)
	for _, mask := range masks {
		for _, n := range []int{1, 5, 255} {
			in := links(mask, n)
			in[len(in)-1].Inside = []netip.Prefix{netip.MustParsePrefix("192.0.2.64/28")}
			chains, passed := marks.MapChains(mask, group, false, in), 0
			for _, h := range marks.Hooks {
				gate, ok := marks.GateOf(h, nil, rulesOf(chains, h.Rule.Action.Chain))
				if !ok || !gate.IsGate() {
					t.Fatalf("%s has no gate: %v", h.Builtin, gate)
				}
				behind := marks.Rule{Dir: h.Rule.Dir, Action: marks.Action{Kind: marks.Goto, Chain: h.Rule.Action.Chain}}
				gated := append([]marks.Chain{{Name: h.Builtin, Rules: []marks.Rule{gate.Rule, behind}}}, chains...)
				for range 400 {
					p := randomPacket(r, mask, in)
					want, got := p.TraverseHook(chains, h), p.Traverse(gated, h.Builtin)
					if want.Ctmark != got.Ctmark || want.Fwmark != got.Fwmark || counted(want, 2) != counted(got, 2) {
						t.Fatalf("mask %s, %d links, %s: %+v became\n%+v without a gate and\n%+v with it", mask, n, h.Builtin, p, want, got)
					}
					if got.MatchedBy == h.Builtin+" 1" {
						passed++
					}
				}
			}
			if passed == 0 {
				t.Errorf("mask %s, %d links: no packet passed a gate", mask, n)
			}
		}
	}
}

// With policies a packet of any kind leaves POSTROUTING with the same mark, and is counted by the same rule, as without the gate.
func TestGateBesidePoliciesChangesNoPacket(t *testing.T) {
	r := seededRand(t)
	for _, n := range []int{1, 5, 255} {
		in, o := links(wideMask, n), policies(n)
		chains, passed, pinned, seen := append(marks.MapChains(wideMask, group, false, in), o.Layout(marks.Nftables)...), 0, 0, 0
		pin, post := o.Hooks()[0], marks.Hooks[2]
		gate, ok := marks.GateOf(post, []marks.Hook{pin}, rulesOf(chains, marks.Post))
		if !ok || !gate.IsGate() || gate.Ours() {
			t.Fatalf("no gate: %v", gate)
		}
		hooks := []marks.Rule{post.Rule, pin.Rule}
		all := append([]marks.Chain{{Name: "without", Rules: hooks}, {Name: "with", Rules: append([]marks.Rule{gate.Rule}, hooks...)}}, chains...)
		for range 2000 {
			p := randomPacket(r, wideMask, in)
			if p.Out != "lan0" && p.Out != "lo" {
				p.OutGroup = group
			}
			want, got := p.Traverse(all, "without"), p.Traverse(all, "with")
			if want.Ctmark != got.Ctmark || want.Fwmark != got.Fwmark || counted(want, 2) != counted(got, 2) {
				t.Fatalf("%d links: %+v became\n%+v without a gate and\n%+v with it", n, p, want, got)
			}
			if got.MatchedBy == "with 1" {
				passed++
			}
			if got.Ctmark != p.Ctmark {
				pinned++
			}
			if counted(got, 2) != "" {
				seen++
			}
		}
		if passed == 0 || pinned == 0 || seen == 0 {
			t.Errorf("%d links: %d packets passed the gate, %d were pinned, %d counted", n, passed, pinned, seen)
		}
	}
}

func rulesOf(chains []marks.Chain, name string) []marks.Rule {
	for _, c := range chains {
		if c.Name == name {
			return c.Rules
		}
	}
	return nil
}

// A chain that does more to a packet without a mark has no gate, and nobody else's rule is taken for one.
func TestGatesNeedTheLayoutOfMaps(t *testing.T) {
	for _, h := range marks.Hooks[:2] {
		chains := marks.MapChains(wideMask, group, false, links(wideMask, 2))
		rules := rulesOf(chains, h.Rule.Action.Chain)
		for what, other := range map[string][]marks.Rule{
			"the layout of chains": rulesOf(marks.Chains(wideMask, group, false, links(wideMask, 2)), h.Rule.Action.Chain),
			"a rule before":        append([]marks.Rule{{In: "lan0", Action: marks.Action{Kind: marks.Drop}}}, rules...),
			"nothing":              nil,
		} {
			if gate, ok := marks.GateOf(h, nil, other); ok {
				t.Errorf("%s, %s: %v", h.Builtin, what, gate)
			}
		}
		if gate, ok := marks.GateOf(h, policies(2).Hooks()[:1], rules); ok {
			t.Errorf("beside another hook: %v", gate)
		}
		gate, _ := marks.GateOf(h, nil, rules)
		if gate.Ours() || (marks.Hook{Builtin: "FORWARD", Rule: gate.Rule}).IsGate() || h.IsGate() {
			t.Errorf("%v", gate)
		}
	}
}
