package nftables_test

import (
	"maps"
	"strings"
	"testing"

	"replypath/marks"

	"github.com/google/go-cmp/cmp"
)

// withGates adds the gates to the change and to the Ruleset that it makes.
func withGates(c marks.Change, want marks.Ruleset) (marks.Change, marks.Ruleset) {
	want.Hooks = maps.Clone(want.Hooks)
	for _, h := range marks.Hooks {
		gate, ok := marks.GateOf(h, want.Chains[h.Rule.Action.Chain].Rules)
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
