package uplinks

import "replypath/marks"

// addGates adds the gates of marks.NFTTable: at the hooks where both families have nothing but the chains of the replies, or of
// those and of policies in POSTROUTING. It follows all purposes.
func addGates(want State, _ Settings, f Facts, _ Verdicts) {
	ipv4, ipv6 := f.Firewalls[IPv4], f.Firewalls[IPv6]
	if len(want.Hooks) == 0 || ipv4.Backend != marks.Nftables || ipv6.Backend != marks.Nftables {
		return
	}
	for _, h := range marks.Hooks {
		gate, ok := want.gateFor(ipv4, h)
		if other, both := want.gateFor(ipv6, h); ok && both && gate == other {
			want.Hooks[HookKey{ipv4, gate}], want.Hooks[HookKey{ipv6, gate}] = hookInPlace, hookInPlace
		}
	}
}

// gateFor returns the gate that the family can have for a hook. ok is false if it has none of this hook, or others beside it for
// which there is no gate.
func (s State) gateFor(firewall FirewallKey, h marks.Hook) (gate marks.Hook, ok bool) {
	chain, exists := s.Chains[ChainKey{firewall, h.Rule.Action.Chain}]
	if _, hooked := s.Hooks[HookKey{firewall, h}]; !exists || !hooked {
		return gate, false
	}
	var beside []marks.Hook
	for k := range s.Hooks {
		if k.Firewall == firewall && k.Hook != h && k.Hook.Builtin == h.Builtin && k.Hook.Table() == h.Table() {
			beside = append(beside, k.Hook)
		}
	}
	return marks.GateOf(h, beside, chain.Rules)
}
