package nftables

import (
	"bytes"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// immediate decodes a verdict, or the load of a constant.
func (d *decoder) immediate(data []byte) bool {
	value := nlattr.Find(data, unix.NFTA_IMMEDIATE_DATA)
	verdict := nlattr.Find(value, unix.NFTA_DATA_VERDICT)
	if verdict == nil {
		return d.load(netfilter.FindUint32(data, unix.NFTA_IMMEDIATE_DREG), nlattr.Find(value, unix.NFTA_DATA_VALUE))
	}
	if d.held.source != (source{}) {
		return false
	}
	d.ended = true
	code := int32(netfilter.FindUint32(verdict, unix.NFTA_VERDICT_CODE))
	switch {
	case d.proxied:
		return code == nfAccept
	case code == unix.NFT_RETURN:
		d.rule.Action.Kind = marks.Return
		return true
	case code == nfAccept:
		d.rule.Action.Kind = marks.Accept
		return true
	case code == nfDrop:
		d.rule.Action.Kind = marks.Drop
		return len(d.writes) == 0
	}
	d.rule.Action.Kind = map[int32]marks.ActionKind{unix.NFT_JUMP: marks.Jump, unix.NFT_GOTO: marks.Goto}[code]
	return d.rule.Action.Kind != 0 && len(d.writes) == 0 && d.setChain(netfilter.FindString(verdict, unix.NFTA_VERDICT_CHAIN))
}

// load decodes the load of a constant, which is written to a mark or names a socket.
func (d *decoder) load(register uint32, value []byte) bool {
	if d.held.source != (source{}) && d.held.source != constant || register == 0 || len(value) == 0 {
		return false
	}
	if d.loaded == nil {
		d.loaded = map[uint32][]byte{}
	}
	d.loaded[register] = value
	if d.held = (held{}); len(value) == 4 {
		d.held = held{source: constant, register: register, mask: make([]byte, 4), xor: value}
	}
	return true
}

// setChain sets the chain of the action by its name in the table.
func (d *decoder) setChain(name string) (ours bool) {
	d.rule.Action.Chain, ours = marks.ParseNFTChain(name, d.ipv6)
	return ours
}

// lookUps are the look-ups in a map by what the key is.
var lookUps = map[source]marks.ActionKind{metaIifname: marks.LookUpIn, metaOifname: marks.LookUpOut, etherSaddr: marks.LookUpMAC,
	metaMark: marks.LookUpFwmark, ctMark: marks.LookUpCtmark}

// lookUp decodes a look-up in a map of verdicts.
func (d *decoder) lookUp(data []byte) bool {
	h := d.held
	d.held, d.ended = held{}, true
	kind := lookUps[h.source]
	if kind == 0 || len(d.writes) > 0 || d.counter != "" || h.register == 0 || netfilter.FindUint32(data, unix.NFTA_LOOKUP_SREG) != h.register ||
		nlattr.Find(data, unix.NFTA_LOOKUP_DREG) == nil || netfilter.FindUint32(data, unix.NFTA_LOOKUP_DREG) != unix.NFT_REG_VERDICT ||
		netfilter.FindUint32(data, unix.NFTA_LOOKUP_FLAGS) != 0 || bytes.Trim(h.xor, "\x00") != nil && len(bytes.Trim(h.xor, "\x00")) > 0 {
		return false
	}
	d.rule.Action.Kind = kind
	if kind == marks.LookUpMAC && !d.seen[metaIiftype] {
		return false
	}
	if kind == marks.LookUpFwmark || kind == marks.LookUpCtmark {
		d.rule.Action.Mask = marks.FullMask
		if h.mask != nil {
			d.rule.Action.Mask = marks.Mask(nlattr.Value(h.mask).Uint32())
		}
	}
	return d.setChain(netfilter.FindString(data, unix.NFTA_LOOKUP_SET)) && marks.IsMap(d.rule.Action.Chain)
}

// finish makes the action of the assignments.
func (d *decoder) finish() bool {
	if len(d.writes) == 0 {
		return d.ended && !d.proxied
	}
	first := d.writes[0]
	if d.counter != "" {
		return false
	}
	if d.proxied {
		d.rule.Action.Kind, d.rule.Action.Mark, d.rule.Action.Mask = marks.TProxy, marks.Mark(first.xor), marks.Mask(^first.mask)
		return d.ended && len(d.writes) == 1 && first.to == metaMark && (first.from == metaMark || first.from == constant) && first.xor&first.mask == 0
	}
	if d.ended { // by a return, or the packet is accepted
		kind := marks.CopyCtmark
		if d.rule.Action.Kind == marks.Accept {
			kind = marks.AcceptCtmark
		}
		d.rule.Action = marks.Action{Kind: kind, Mask: marks.Mask(first.mask)}
		return len(d.writes) == 1 && first.to == metaMark && first.from == ctMark && first.xor == 0
	}
	d.rule.Action = marks.Action{Mark: marks.Mark(first.xor), Mask: marks.Mask(^first.mask)}
	for _, w := range d.writes {
		if w.mask != first.mask || w.xor != first.xor || w.xor&w.mask != 0 || w.from != w.to && w.from != constant {
			return false
		}
	}
	switch {
	case len(d.writes) == 2 && first.to == ctMark && d.writes[1].to == metaMark:
		d.rule.Action.Kind = marks.SetMarks
	case len(d.writes) == 1 && first.to == ctMark:
		d.rule.Action.Kind = marks.SetCtmark
	case len(d.writes) == 1:
		d.rule.Action.Kind = marks.SetFwmark
	default:
		return false
	}
	return true
}

// isFamilyGoto reports whether the expressions are those of encodeFamilyGoto.
func isFamilyGoto(expressions []byte, b marks.NFTBase, ipv6, alone bool) bool {
	if !alone {
		return isGoto(expressions, ipv6, b.HookChain(ipv6))
	}
	number, family := 0, false
	for _, e := range nlattr.All(expressions) {
		if number == 0 {
			key := netfilter.FindUint32(nlattr.Find(e, unix.NFTA_EXPR_DATA), unix.NFTA_META_KEY)
			family = netfilter.HasString(e, unix.NFTA_EXPR_NAME, "meta") && key == unix.NFT_META_NFPROTO
		}
		number++
	}
	chain, direction := b.Behind()
	r, counter, ok := decodeRule(expressions, ipv6)
	return ok && family && number == len(encodeFamilyGoto(b, ipv6, alone)) && counter == "" &&
		r == marks.Rule{Dir: direction, Action: marks.Action{Kind: marks.Goto, Chain: chain}}
}

// isGoto reports whether the expressions lead packets of the family to the chain.
func isGoto(expressions []byte, ipv6 bool, chain string) bool {
	var names []string
	ok := true
	for _, e := range nlattr.All(expressions) {
		name, data := netfilter.FindString(e, unix.NFTA_EXPR_NAME), nlattr.Find(e, unix.NFTA_EXPR_DATA)
		names = append(names, name)
		switch name {
		case "meta":
			ok = ok && netfilter.FindUint32(data, unix.NFTA_META_KEY) == unix.NFT_META_NFPROTO && netfilter.FindUint32(data, unix.NFTA_META_DREG) != 0
		case "cmp":
			value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
			ok = ok && bytes.Equal(value, []byte{nftnl.FamilyNumber(ipv6)}) && netfilter.FindUint32(data, unix.NFTA_CMP_OP) == unix.NFT_CMP_EQ
		case "immediate":
			verdict := nlattr.Find(nlattr.Find(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT)
			ok = ok && int32(netfilter.FindUint32(verdict, unix.NFTA_VERDICT_CODE)) == unix.NFT_GOTO && netfilter.HasString(verdict, unix.NFTA_VERDICT_CHAIN, chain)
		}
	}
	return ok && len(names) == 3 && names[0] == "meta" && names[1] == "cmp" && names[2] == "immediate"
}
