package nftables_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/marks"

	"github.com/google/go-cmp/cmp"
)

// addPurposes adds interception and outbound connections to a creation of a family.
func addPurposes(c *marks.Change, want marks.Ruleset, mask marks.Mask, ipv6 bool, ingress []marks.Ingress) {
	const bit = marks.Mask(0x10)
	chains := marks.InterceptLayout(marks.Nftables, bit, ipv6, intercepts(ipv6))
	out := marks.Outbound{Mask: mask, Flag: 0x40, Group: 8200, Buckets: []marks.Mark{0, mask.Mark(1), mask.Mark(2)}, Masquerade: true, IPsec: true}
	for i, in := range ingress {
		out.Egress = append(out.Egress, marks.Egress{Link: fmt.Sprintf("wan-%d.0", i), Mark: in.Mark, Sources: in.Inside})
	}
	for _, chain := range append(chains, out.Layout(marks.Nftables)...) {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
		want.Chains[chain.Name] = marks.ChainRules{Rules: chain.Rules}
	}
	for _, h := range append(out.Hooks(), marks.InterceptHooks()...) {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
		want.Hooks[h] = marks.HookState{Count: 1, Reachable: true}
	}
}

// intercepts returns intercepts with every kind of rule.
func intercepts(ipv6 bool) []marks.Intercept {
	any, one, networks := "0.0.0.0", "192.0.2.1", []string{"198.51.100.0/24", "203.0.113.64/27", "192.0.2.9/32"}
	if ipv6 {
		any, one, networks = "::", "2001:db8::1", []string{"2001:db8:1::/48", "2001:db8:2::/61", "2001:db8::9/128"}
	}
	var prefixes []netip.Prefix
	for _, n := range networks {
		prefixes = append(prefixes, netip.MustParsePrefix(n))
	}
	to := func(addr string, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	}
	return []marks.Intercept{
		{Name: "web-map", In: []marks.InterceptedLink{{Name: "lan0", Forwarded: true}, {Name: "wan-0.0"}}, Ports: []marks.PortRange{{First: 80, Last: 80}, {First: 8000, Last: 8080}, {First: 1, Last: 65535}},
			From: prefixes, NotTo: prefixes, Services: []marks.InterceptedService{{Proto: "tcp", Proxy: to(any, 50080)}, {Proto: "udp", Proxy: to(one, 50080)}}},
		{Name: "dns_0", In: []marks.InterceptedLink{{Name: "lan0"}}, To: prefixes, NotFrom: prefixes, Drop: true, Services: []marks.InterceptedService{{Proto: "udp", Proxy: to(any, 53)}, {Proto: "tcp", Proxy: to(one, 53)}}},
		{Name: "gone", In: []marks.InterceptedLink{{Name: "lan0"}}, Services: []marks.InterceptedService{{Proto: "udp", Proxy: to(any, 5), Absent: true}, {Proto: "tcp", Proxy: to(any, 5), Absent: true}}},
	}
}

// The base chain of address translation is there while a family has its hook.
func TestBaseChainEndsWithItsLastHook(t *testing.T) {
	h := newHost(t)
	without, want := creation(0xff00, links(2, false))
	with, all := creation(0xff00, links(2, false))
	addPurposes(&with, all, 0xff00, false, links(2, false))
	h.apply(false, with)
	h.wantRead("with", false, all)
	off := marks.Change{}
	for _, chain := range with.Chains {
		if _, stays := want.Chains[chain.Name]; !stays {
			off.Chains = append(off.Chains, marks.ChainChange{Name: chain.Name})
			off.Delete = append(off.Delete, chain.Name)
		}
	}
	for _, hook := range with.Hooks {
		_, stays := want.Hooks[hook.Hook]
		off.Hooks = append(off.Hooks, marks.HookChange{Hook: hook.Hook, Remove: 1, Insert: stays})
	}
	h.apply(false, off)
	h.wantRead("without", false, want)
	left := h.list()
	h.apply(false, removal(without))
	h.apply(false, without)
	if diff := cmp.Diff(strings.Split(h.list(), "\n"), strings.Split(left, "\n")); diff != "" {
		t.Errorf("-never had it +had it:\n%s", diff)
	}
}

// Nothing is missing in a kernel that has every expression.
func TestKernelHasWhatPurposesNeed(t *testing.T) {
	h := newHost(t)
	h.Do(func() {
		for ipv6, f := range h.firewalls {
			if missing := f.Missing(); len(missing) > 0 {
				t.Errorf("IPv6 %t: %v", ipv6, missing)
			}
		}
	})
}
