package nftables_test

import (
	"maps"
	"strings"
	"testing"

	"replypath/marks"

	"github.com/google/go-cmp/cmp"
)

// withGates adds the gates to the change and to the Ruleset that it makes, for what is hooked in POSTROUTING beside the replies.
func withGates(c marks.Change, want marks.Ruleset, beside ...marks.Hook) (marks.Change, marks.Ruleset) {
	want.Hooks = maps.Clone(want.Hooks)
	for _, h := range marks.Hooks {
		var others []marks.Hook
		for _, other := range beside {
			if other.Builtin == h.Builtin {
				others = append(others, other)
			}
		}
		gate, ok := marks.GateOf(h, others, want.Chains[h.Rule.Action.Chain].Rules)
		if ok {
			c.Hooks = append(c.Hooks, marks.HookChange{Hook: gate, Insert: true})
			want.Hooks[gate] = marks.HookState{Count: 1, Reachable: true}
		}
	}
	return c, want
}

// Gates are read as they were written, in both families; each change of another program shows, and is repaired.
func TestGatesAreReadAndRepaired(t *testing.T) {
	h := newHost(t)
	plain4, bare4 := creation(0xff00, links(2, false))
	v4, want4 := withGates(plain4, bare4)
	v6, want6 := withGates(creation(0xff00, links(3, true)))
	if len(want4.Hooks) != 2*len(marks.Hooks) {
		t.Fatalf("the hooks are %v", want4.Hooks)
	}
	h.apply(false, v4)
	h.wantRead("IPv4 alone", false, want4)
	h.apply(true, v6)
	h.wantRead("IPv4", false, want4)
	h.wantRead("IPv6", true, want6)
	for name, damage := range map[string]string{
		"no gate":             "flush chain inet replypath output; add rule inet replypath output meta nfproto ipv4 goto ip-out; add rule inet replypath output meta nfproto ipv6 goto ip6-out",
		"another gate":        "insert rule inet replypath postrouting ct status and assured != 0 return",
		"a rule behind it":    "add rule inet replypath prerouting udp dport 53 accept",
		"another group":       "flush chain inet replypath prerouting; add rule inet replypath prerouting iifgroup != 7 meta mark 0 meta mark set ct mark and 0xff00 accept; add rule inet replypath prerouting meta nfproto ipv4 goto ip-pre; add rule inet replypath prerouting meta nfproto ipv6 goto ip6-pre",
		"all of one family":   "flush chain inet replypath output; add rule inet replypath output meta mark 0 meta mark set ct mark and 0xff00 accept; add rule inet replypath output meta nfproto ipv4 goto ip-out; add rule inet replypath output goto ip6-out",
		"the other direction": "flush chain inet replypath postrouting; add rule inet replypath postrouting ct status and assured != 0 accept; add rule inet replypath postrouting meta nfproto ipv4 ct direction original goto ip-post; add rule inet replypath postrouting meta nfproto ipv6 ct direction reply goto ip6-post",
		"a gate that returns": "flush chain inet replypath output; add rule inet replypath output meta mark 0 meta mark set ct mark and 0xff00 return; add rule inet replypath output meta nfproto ipv4 goto ip-out; add rule inet replypath output meta nfproto ipv6 goto ip6-out",
	} {
		h.Run("nft", damage)
		if cmp.Equal(want4.Hooks, h.read(false).Hooks) {
			t.Errorf("%s: the table reads as before", name)
		}
		h.apply(false, v4)
		h.wantRead(name, false, want4)
		h.wantRead(name, true, want6)
	}
	h.protect(true)
	h.wantRead("protected, IPv4", false, want4)
	h.wantRead("protected, IPv6", true, want6)
	h.protect(false)
	// Without a family there are no gates, and the other one goes on; so it does when another purpose needs a gate's place.
	h.apply(true, removal(v6))
	h.wantRead("IPv6 gone", false, bare4)
	h.apply(false, removal(v4))
	if text := h.Run("nft", "list", "tables"); strings.Contains(text, "inet replypath\n") {
		t.Errorf("left behind: %s", text)
	}
}

// again returns the change that writes everything of a creation once more.
func again(made marks.Change) (c marks.Change) {
	for _, chain := range made.Chains {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Rules: chain.Rules})
	}
	for _, h := range made.Hooks {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h.Hook, Remove: 1, Insert: true})
	}
	return c
}

// withPolicies returns a creation that pins connections and translates their sources, and its gates.
func withPolicies(ipv6 bool) (marks.Change, marks.Ruleset) {
	c, want := creation(0xff00, links(2, ipv6))
	out := marks.Outbound{Mask: 0xff00, Flag: 0x10000, Group: 8200, Masquerade: true}
	for _, in := range links(2, ipv6) {
		out.Egress = append(out.Egress, marks.Egress{Link: in.Link, Mark: in.Mark})
	}
	for _, chain := range out.Layout(marks.Nftables) {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
		want.Chains[chain.Name] = marks.ChainRules{Rules: chain.Rules}
	}
	for _, h := range out.Hooks() {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
		want.Hooks[h] = marks.HookState{Count: 1, Reachable: true}
	}
	return withGates(c, want, out.Hooks()[0])
}

// difference returns the change from one creation to another one, which has some of its chains.
func difference(from, to marks.Change, have, want marks.Ruleset) (off marks.Change) {
	for _, chain := range from.Chains {
		if _, stays := want.Chains[chain.Name]; !stays {
			off.Chains = append(off.Chains, marks.ChainChange{Name: chain.Name})
			off.Delete = append(off.Delete, chain.Name)
		}
	}
	hooks := map[marks.Hook]bool{}
	for _, hook := range append(from.Hooks, to.Hooks...) {
		if hooks[hook.Hook] {
			continue
		}
		hooks[hook.Hook] = true
		off.Hooks = append(off.Hooks, marks.HookChange{Hook: hook.Hook, Remove: have.Hooks[hook.Hook].Count, Insert: want.Hooks[hook.Hook].Count > 0})
	}
	return off
}

// With policies there is a gate in POSTROUTING too, before both hooks: it is read as it was written, repaired, made by commands, and goes
// with the policies.
func TestGateBesidePoliciesIsReadAndRepaired(t *testing.T) {
	h := newHost(t)
	v4, want4 := withPolicies(false)
	v6, want6 := withPolicies(true)
	h.apply(false, v4)
	h.apply(true, v6)
	h.wantRead("IPv4", false, want4)
	h.wantRead("IPv6", true, want6)
	base := h.Run("nft", "list", "chain", "inet", "replypath", "postrouting")
	for _, want := range []string{"0x0000ff00 != 0x00000000 accept", "goto ip-postrouting", "goto ip6-postrouting"} {
		if !strings.Contains(base, want) {
			t.Errorf("no %q in\n%s", want, base)
		}
	}
	hooks := "; add rule inet replypath postrouting meta nfproto ipv4 goto ip-postrouting; add rule inet replypath postrouting meta nfproto ipv6 goto ip6-postrouting"
	for name, damage := range map[string]string{
		"no gate":        "flush chain inet replypath postrouting" + hooks,
		"every assured":  "flush chain inet replypath postrouting; add rule inet replypath postrouting ct status and assured != 0 accept" + hooks,
		"without a mark": "flush chain inet replypath postrouting; add rule inet replypath postrouting ct status and assured != 0 ct mark and 0xff00 == 0 accept" + hooks,
		"past the hooks": "flush chain inet replypath postrouting; add rule inet replypath postrouting ct status and assured != 0 ct mark and 0xff00 != 0 accept; add rule inet replypath postrouting meta nfproto ipv4 ct direction reply goto ip-post; add rule inet replypath postrouting meta nfproto ipv6 ct direction reply goto ip6-post",
	} {
		h.Run("nft", damage)
		if cmp.Equal(want4.Hooks, h.read(false).Hooks) {
			t.Errorf("%s: the table reads as before", name)
		}
		h.apply(false, v4)
		h.wantRead(name, false, want4)
		h.wantRead(name, true, want6)
	}
	h.protect(true)
	h.wantRead("protected, IPv4", false, want4)
	h.wantRead("protected, IPv6", true, want6)
	h.protect(false)
	plain, want := withGates(creation(0xff00, links(2, false)))
	h.apply(false, difference(v4, plain, want4, want))
	h.wantRead("without policies", false, want)
	h.apply(true, removal(v6))
	h.apply(false, removal(plain))
	for _, c := range []struct {
		ipv6   bool
		change marks.Change
	}{{false, v4}, {true, v6}} {
		for _, command := range c.change.NFTCommands(c.ipv6) {
			h.Run("nft", command)
		}
	}
	h.wantRead("IPv4 by commands", false, want4)
	h.wantRead("IPv6 by commands", true, want6)
}

// The commands of nft(8) make the same as a change, from nothing, with gates and without them again.
func TestGatesAsCommands(t *testing.T) {
	h := newHost(t)
	run := func(ipv6 bool, c marks.Change) {
		t.Helper()
		for _, command := range c.NFTCommands(ipv6) {
			h.Run("nft", command)
		}
	}
	plain4, bare4 := creation(0xff00, links(2, false))
	plain6, bare6 := creation(0xff00, links(3, true))
	v4, want4 := withGates(plain4, bare4)
	v6, want6 := withGates(plain6, bare6)
	run(false, v4)
	run(true, v6)
	h.wantRead("IPv4", false, want4)
	h.wantRead("IPv6", true, want6)
	gone := marks.Change{}
	for _, hook := range v4.Hooks {
		gone.Hooks = append(gone.Hooks, marks.HookChange{Hook: hook.Hook, Remove: 1, Insert: !hook.Hook.IsGate()})
	}
	run(false, gone)
	h.wantRead("IPv4 without gates", false, bare4)
	h.wantRead("IPv6 without gates", true, bare6)
	run(false, v4)
	run(true, removal(v6))
	run(false, removal(v4))
	if text := h.Run("nft", "list", "table", "inet", "replypath"); strings.Contains(text, "chain ip-pre ") || strings.Contains(text, "chain ip6-pre ") {
		t.Errorf("left behind: %s", text)
	}
}
