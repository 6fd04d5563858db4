package markstest

import "replypath/marks"

// actNFT performs an action that only nftables has. leaves reports that the packet does not continue in the chain.
func (p Packet) actNFT(chains []marks.Chain, a marks.Action, depth int) (after Packet, leaves bool) {
	set := func(mark uint32) uint32 { return mark&^uint32(a.Mask) | uint32(a.Mark) }
	switch a.Kind {
	case marks.SetMarks:
		p.Ctmark, p.Fwmark = set(p.Ctmark), set(p.Fwmark)
	case marks.SetFwmark:
		p.Fwmark = set(p.Fwmark)
	case marks.Accept:
		return p, true
	case marks.CopyCtmark, marks.AcceptCtmark:
		p.Fwmark = p.Ctmark & uint32(a.Mask)
		return p, true
	case marks.LookUpIn:
		return p.lookUp(chains, a, marks.Rule{In: p.In}, depth)
	case marks.LookUpOut:
		return p.lookUp(chains, a, marks.Rule{In: p.Out}, depth)
	case marks.LookUpMAC:
		return p.lookUp(chains, a, marks.Rule{MAC: p.MAC}, depth)
	case marks.LookUpFwmark:
		return p.lookUp(chains, a, byMark(p.Fwmark&uint32(a.Mask)), depth)
	case marks.LookUpCtmark:
		return p.lookUp(chains, a, byMark(p.Ctmark&uint32(a.Mask)), depth)
	}
	return p, false
}

func byMark(mark uint32) marks.Rule {
	return marks.Rule{Ctmark: marks.MarkMatch{Mark: marks.Mark(mark)}}
}

// lookUp continues at the chain of the map's element with that key.
func (p Packet) lookUp(chains []marks.Chain, a marks.Action, key marks.Rule, depth int) (after Packet, leaves bool) {
	for _, element := range findChain(chains, a.Chain) {
		if marks.CompareElements(element, key) == 0 {
			return p.traverse(chains, element.Action.Chain, depth-1), true
		}
	}
	return p, false
}
