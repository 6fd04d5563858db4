package uplinks_test

import (
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// gatesOf returns the built-in chains with gates, by firewall.
func gatesOf(s uplinks.State) map[uplinks.Family][]string {
	found := map[uplinks.Family][]string{}
	for k := range s.Hooks {
		if k.Hook.IsGate() {
			found[k.Firewall.Family] = append(found[k.Firewall.Family], k.Hook.Builtin)
		}
	}
	return found
}

// nativeFacts returns the facts of the tests with nftables in both families.
func nativeFacts() uplinks.Facts {
	f := uplinkstest.Facts()
	for family, k := range f.Firewalls {
		k.Backend, k.Command = marks.Nftables, "nft"
		f.Firewalls[family] = k
	}
	return f
}

// Gates are where both families have nftables and nothing but replies, and in POSTROUTING policies.
func TestGatesAreWhereNothingElseIs(t *testing.T) {
	count := func(what string, s uplinks.Settings, f uplinks.Facts, want int) {
		t.Helper()
		found := gatesOf(uplinks.Desired(s, f, nil))
		if len(found[uplinks.IPv4]) != want || len(found[uplinks.IPv6]) != want {
			t.Errorf("%s: gates are in %v, want %d in each family", what, found, want)
		}
	}
	count("replies", uplinkstest.Settings(), nativeFacts(), 3)
	count("iptables", uplinkstest.Settings(), uplinkstest.Facts(), 0)
	mixed := nativeFacts()
	mixed.Firewalls[uplinks.IPv6] = uplinkstest.Facts().Firewalls[uplinks.IPv6]
	count("one family by iptables", uplinkstest.Settings(), mixed, 0)
	alone := nativeFacts()
	delete(alone.Firewalls, uplinks.IPv6)
	count("one family without a firewall", uplinkstest.Settings(), alone, 0)
	count("interception, which hooks PREROUTING and OUTPUT", withIntercepts(uplinkstest.Settings()), nativeFacts(), 1)
	count("policies with sticky clients, which hook PREROUTING, and POSTROUTING, where the gate knows them", outboundSettings(), nativeFacts(), 2)
}
