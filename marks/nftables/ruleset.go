package nftables

import (
	"net"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// hooks has the hook of each built-in chain.
var hooks = map[string]uint32{"PREROUTING": unix.NF_INET_PRE_ROUTING, "OUTPUT": unix.NF_INET_LOCAL_OUT, "POSTROUTING": unix.NF_INET_POST_ROUTING}

// baseOf returns what the base chain has in the kernel.
func baseOf(b marks.NFTBase) baseState {
	return baseState{kind: b.Type, hook: hooks[b.Builtin], priority: b.Priority, accepts: true}
}

// ruleset returns the chains and hooks of a family. The result is shared: do not modify it.
func (s *snapshot) ruleset(ipv6 bool) marks.Ruleset {
	r, decoded := s.rulesets[ipv6]
	if decoded {
		return r
	}
	r = marks.Ruleset{Chains: map[string]marks.ChainRules{}, Hooks: map[marks.Hook]marks.HookState{}}
	for name, c := range s.chains {
		if chain, ours := marks.ParseNFTChain(name, ipv6); ours && !marks.IsMap(chain) {
			r.Chains[chain] = c.decode(chain, ipv6)
		}
	}
	for name, m := range s.sets {
		if chain, ours := marks.ParseNFTChain(name, ipv6); ours && marks.IsMap(chain) {
			r.Chains[chain] = m.decode(chain, ipv6)
		}
	}
	for _, b := range marks.NFTBases {
		s.addHooks(r.Hooks, b, ipv6)
	}
	s.rulesets[ipv6] = r
	return r
}

// decode returns the rules of a chain. One with a rule of another program is unreadable.
func (c *chainState) decode(chain string, ipv6 bool) marks.ChainRules {
	if c.base != (baseState{}) {
		return marks.ChainRules{Unreadable: true}
	}
	rules := make([]marks.Rule, len(c.rules))
	for i, expressions := range c.rules {
		rule, counter, ok := decodeRule(expressions, ipv6)
		if !ok || counter != marks.CounterOf(chain, i, ipv6) {
			return marks.ChainRules{Unreadable: true}
		}
		rules[i] = rule
	}
	return marks.ChainRules{Rules: rules}
}

// decode returns the elements of a map. One that replypath has not made, or an element that it has not, makes the map
// unreadable.
func (s *setState) decode(chain string, ipv6 bool) marks.ChainRules {
	elements := make([]marks.Rule, 0, len(s.elements))
	if !s.sound(chain) {
		return marks.ChainRules{Unreadable: true}
	}
	for _, e := range s.elements {
		r, ok := decodeElement(e, s.keyLength, ipv6)
		if !ok {
			return marks.ChainRules{Unreadable: true}
		}
		elements = append(elements, r)
	}
	slices.SortFunc(elements, marks.CompareElements)
	return marks.ChainRules{Rules: elements}
}

// sound reports whether the set can hold the elements of the map.
func (s *setState) sound(chain string) bool {
	return s.verdicts && s.keyLength == mapOf(chain, "").KeyLength
}

// mapOf returns the map of a chain that is one, by the name.
func mapOf(chain, name string) nftnl.Set {
	switch {
	case marks.IsLinkMap(chain):
		return nftnl.Set{Name: name, ID: 1, KeyType: nftnl.TypeIfname, KeyLength: unix.IFNAMSIZ, Size: marks.MapSize, Verdicts: true}
	case marks.IsMACMap(chain):
		return nftnl.Set{Name: name, ID: 1, KeyType: nftnl.TypeEther, KeyLength: macSize, Verdicts: true, NetworkOrder: true}
	}
	return nftnl.Set{Name: name, ID: 1, KeyType: nftnl.TypeMark, KeyLength: 4, Size: marks.MapSize, Verdicts: true}
}

// decodeElement decodes an element of a map.
func decodeElement(e []byte, keyLength uint32, ipv6 bool) (r marks.Rule, ok bool) {
	key := nlattr.Find(nlattr.Find(e, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)
	verdict := nlattr.Find(nlattr.Find(e, unix.NFTA_SET_ELEM_DATA), unix.NFTA_DATA_VERDICT)
	chain, ours := marks.ParseNFTChain(netfilter.FindString(verdict, unix.NFTA_VERDICT_CHAIN), ipv6)
	if len(key) != int(keyLength) || !ours || int32(netfilter.FindUint32(verdict, unix.NFTA_VERDICT_CODE)) != unix.NFT_GOTO {
		return r, false
	}
	r.Action = marks.Action{Kind: marks.Goto, Chain: chain}
	switch keyLength {
	case unix.IFNAMSIZ:
		r.In = unix.ByteSliceToString(key)
	case macSize:
		r.MAC = net.HardwareAddr(key).String()
	default:
		r.Ctmark = marks.MarkMatch{Mark: marks.Mark(key.Uint32()), Mask: marks.FullMask}
	}
	return r, true
}

// addHooks adds the hooks of one built-in chain. They are not reached when the base chain is not as it should be; and a
// rule of another program beside them makes them be written again without it.
func (s *snapshot) addHooks(found map[marks.Hook]marks.HookState, b marks.NFTBase, ipv6 bool) {
	c := s.chains[b.HookChain(ipv6)]
	if c == nil {
		return
	}
	gate, sound := s.findGate(b)
	reachable := sound && s.flags&nftnl.Dormant == 0 && c.base == (baseState{})
	if gate != nil {
		found[marks.Hook{Builtin: b.Builtin, Rule: *gate}] = marks.HookState{Count: 1, Reachable: true}
	}
	last := false
	for _, expressions := range c.rules {
		rule, counter, ok := decodeRule(expressions, ipv6)
		h := marks.Hook{Builtin: b.Builtin, Rule: rule}
		if ok && counter == "" && h.Ours() && h.Table() == b.Table {
			found[h] = marks.HookState{Count: found[h].Count + 1, Reachable: true}
			reachable = reachable && (!last || h.ComesLast())
		} else {
			reachable = false
		}
		last = last || h.ComesLast()
	}
	for h, state := range found {
		if h.Builtin == b.Builtin && h.Table() == b.Table {
			state.Reachable = reachable
			found[h] = state
		}
	}
}

// findGate returns the gate of a base chain, if it has one, and reports whether the chain is as replypath makes it: its rules
// lead the packets of both families to their hooks, and do nothing else.
func (s *snapshot) findGate(b marks.NFTBase) (gate *marks.Rule, sound bool) {
	c := s.chains[b.Name()]
	if c == nil {
		return nil, false
	}
	rules := c.rules
	if len(rules) == len(families)+1 {
		if r, counter, ok := decodeRule(rules[0], false); ok && counter == "" && (marks.Hook{Builtin: b.Builtin, Rule: r}).IsGate() && b.Table == marks.MangleTable {
			gate, rules = &r, rules[1:]
		}
	}
	sound = c.base == baseOf(b) && len(rules) == len(families)
	for i, ipv6 := range families {
		sound = sound && isFamilyGoto(rules[i], b, ipv6, gate.IsAlone())
	}
	return gate, sound
}

// families has IPv4 and IPv6, in the order of the rules of a base chain.
var families = [...]bool{false, true}
