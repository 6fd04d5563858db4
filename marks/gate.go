package marks

// A gate is a rule at the beginning of a base chain of NFTTable, in the form of a hook: it lets packets of both families pass
// that the chains of neither would treat otherwise, before the family of a packet is asked for. It needs that both families have
// the same; so it is in place when GateOf returns it for both. Where a hook is the only one, packets go behind the gate to the
// chain to which it leads.

// GateOf returns the gate for a hook of Hooks, which leads to a chain of MapChains with these rules, and the hooks beside it. ok
// is false if the chains do more to the packets that a gate lets pass.
func GateOf(h Hook, beside []Hook, rules []Rule) (gate Hook, ok bool) {
	gate = Hook{Builtin: h.Builtin}
	if h.Rule.NotAssured {
		gate.Rule = Rule{Assured: true, Action: Action{Kind: Accept}}
		for _, other := range beside {
			gate.Rule.Ctmark = MarkMatch{Not: true, Mask: other.Rule.Ctmark.Mask}
		}
		return gate, len(beside) == 0 || len(beside) == 1 && beside[0].pins()
	}
	if len(beside) > 0 {
		return gate, false
	}
	for i, r := range rules {
		switch {
		case r.isFast():
			gate.Rule = r
			gate.Rule.Action.Kind = AcceptCtmark
			if i > 0 {
				gate.Rule.SrcGroup, gate.Rule.NotSrcGroup = rules[0].SrcGroup, true
			}
			return gate, true
		case r.SrcGroup == 0, r.NotSrcGroup, r.SrcGroup != rules[0].SrcGroup:
			return gate, false
		}
	}
	return gate, false
}

// pins reports whether the hook leads connections without a mark, and no others, to Pin.
func (h Hook) pins() bool {
	return h.Rule.Action.Chain == Pin && !h.Rule.Ctmark.Not && h.Rule.Ctmark.Mark == 0 && h.Rule.Ctmark.Mask != 0
}

// isFast reports whether the rule is that of MapChains for packets without a mark.
func (r Rule) isFast() bool { return r.copies(CopyCtmark) }

// copies reports whether the rule is one for packets without a mark, with an action of this kind.
func (r Rule) copies(kind ActionKind) bool {
	return r == Rule{Fwmark: MarkMatch{Mask: FullMask}, Action: Action{Kind: kind, Mask: r.Action.Mask}} && r.Action.Mask != 0
}

// IsGate reports whether the hook is a gate.
func (h Hook) IsGate() bool {
	r := h.Rule
	switch h.Builtin {
	case "PREROUTING":
		group := r.SrcGroup
		r.SrcGroup, r.NotSrcGroup = 0, false
		return r.copies(AcceptCtmark) && group != 0 && h.Rule.NotSrcGroup
	case "OUTPUT":
		return r.copies(AcceptCtmark)
	case "POSTROUTING":
		if r.Ctmark.Not && r.Ctmark.Mark == 0 {
			r.Ctmark = MarkMatch{}
		}
		return r == Rule{Assured: true, Action: Action{Kind: Accept}}
	}
	return false
}

// IsAlone reports whether the gate is one for the only hook of its place: behind it packets go to the chain of that hook.
func (r *Rule) IsAlone() bool { return r != nil && r.Ctmark == (MarkMatch{}) }

// Behind returns the chain, and what its packets must be besides in the family, to which a base chain leads them behind a gate that
// is alone.
func (b NFTBase) Behind() (chain, direction string) {
	for _, h := range Hooks {
		if h.Builtin == b.Builtin && b.Table == MangleTable {
			return h.Rule.Action.Chain, h.Rule.Dir
		}
	}
	return "", ""
}

// WithoutGates returns the changes of hooks that are no gates, and the gate that is inserted, if there is one.
func WithoutGates(changes []HookChange) (others []HookChange, gate *Rule) {
	for _, h := range changes {
		switch {
		case !h.Hook.IsGate():
			others = append(others, h)
		case h.Insert:
			gate = &h.Hook.Rule
		}
	}
	return others, gate
}
