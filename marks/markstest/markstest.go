// Package markstest evaluates the mangle rules on packets without a kernel.
package markstest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
)

// Packet has the properties of a packet and its connection that rules match or change, and a record of the traversal.
type Packet struct {
	In, Out        string     // names of links
	MAC            string     // source of the frame, in lower case
	Group          uint32     // of the link In
	OutGroup       uint32     // of the link Out
	Ctmark         uint32     // the mark of the connection
	Fwmark         uint32     // the mark of the packet
	Dir            string     // direction in the connection: ORIGINAL or REPLY
	Assured        bool       // the connection has IPS_ASSURED
	State          string     // of the packet in its connection: RELATED; empty: another one
	Proto          string     // that of any rule, if it is empty
	ReplyTo        netip.Addr // where the connection's replies are addressed to
	OrigFrom       netip.Addr // the sender of the connection's first packet
	IPsec          bool       // an IPsec policy transforms the packet
	Translated     bool       // the connection has got the address of the link Out as its source
	RulesEvaluated int        // number of rules that were evaluated
	MatchedBy      string     // the last rule that matched: chain and number in it, from 1
}

// Traverse evaluates a chain, and the chains that it jumps to, as the kernel does, and returns the changed packet. It
// panics when a rule jumps to a chain that does not exist, or in a loop.
func (p Packet) Traverse(chains []marks.Chain, start string) Packet {
	return p.traverse(chains, start, len(chains))
}

// TraverseHook evaluates the hook and the chains that it jumps to, and returns the changed packet.
func (p Packet) TraverseHook(chains []marks.Chain, h marks.Hook) Packet {
	return p.Traverse(append(slices.Clone(chains), marks.Chain{Name: h.Builtin, Rules: []marks.Rule{h.Rule}}), h.Builtin)
}

func (p Packet) traverse(chains []marks.Chain, name string, depth int) Packet {
	if depth == 0 {
		panic("chains jump in a loop at " + name)
	}
	for i, r := range findChain(chains, name) {
		p.RulesEvaluated++
		if !p.matches(r) {
			continue
		}
		p.MatchedBy = fmt.Sprintf("%s %d", name, i+1)
		if r.Action.Kind >= marks.SetMarks {
			var leaves bool
			if p, leaves = p.actNFT(chains, r.Action, depth); leaves {
				return p
			}
			continue
		}
		switch r.Action.Kind {
		case marks.Return:
			return p
		case marks.Jump:
			p = p.traverse(chains, r.Action.Chain, depth-1)
		case marks.Goto:
			return p.traverse(chains, r.Action.Chain, depth-1)
		case marks.Masquerade:
			p.Translated = true
			return p
		case marks.SetCtmark:
			// XT_CONNMARK_SET clears the bits of the mask, then XORs the mark.
			p.Ctmark = p.Ctmark&^uint32(r.Action.Mask) ^ uint32(r.Action.Mark)
		case marks.SetMark:
			p.Fwmark = p.Fwmark&^uint32(r.Action.Mask) ^ uint32(r.Action.Mark)
		case marks.RestoreMark:
			mask := uint32(r.Action.Mask)
			p.Fwmark = p.Fwmark&^mask ^ p.Ctmark&mask
		case marks.SaveMark:
			mask := uint32(r.Action.Mask)
			p.Ctmark = p.Ctmark&^mask ^ p.Fwmark&mask
		}
	}
	return p
}

// matches reports whether xt_mark, xt_connmark, xt_devgroup and xt_conntrack match.
func (p Packet) matches(r marks.Rule) bool {
	switch {
	case linkMatches(r.In, p.In) == r.NotIn,
		r.MAC != "" && r.MAC != p.MAC,
		r.MACBit != 0 && !p.hasMACBit(r.MACBit),
		!linkMatches(r.Out, p.Out),
		r.SrcGroup != 0 && (r.SrcGroup == p.Group) == r.NotSrcGroup,
		r.DstGroup != 0 && r.DstGroup != p.OutGroup,
		!markMatches(r.Fwmark, p.Fwmark),
		!markMatches(r.Ctmark, p.Ctmark),
		r.Dir != "" && r.Dir != p.Dir,
		r.NotAssured && p.Assured,
		r.Assured && !p.Assured,
		r.IPsec && !p.IPsec,
		r.Packet.State != "" && (r.Packet.State == p.State) == r.Packet.NotState,
		r.Packet.Proto != "" && p.Proto != "" && r.Packet.Proto != p.Proto,
		r.ReplyTo.IsValid() && !r.ReplyTo.Contains(p.ReplyTo),
		r.OrigFrom.IsValid() && !r.OrigFrom.Contains(p.OrigFrom):
		return false
	}
	return true
}

// hasMACBit reports whether the bit of the source of the frame is 1.
func (p Packet) hasMACBit(bit uint8) bool {
	mac, err := net.ParseMAC(p.MAC)
	return err == nil && mac[len(mac)-1-int(bit-1)/8]>>((bit-1)%8)&1 == 1
}

// linkMatches reports whether a link matches a name; a trailing + matches all links with that prefix.
func linkMatches(name, link string) bool {
	prefix, isPrefix := strings.CutSuffix(name, "+")
	return name == "" || name == link || isPrefix && strings.HasPrefix(link, prefix)
}

func markMatches(t marks.MarkMatch, mark uint32) bool {
	return t == (marks.MarkMatch{}) || (mark&uint32(t.Mask) == uint32(t.Mark)) != t.Not
}

func findChain(chains []marks.Chain, name string) []marks.Rule {
	for _, c := range chains {
		if c.Name == name {
			return c.Rules
		}
	}
	panic(fmt.Sprintf("no chain %s", name))
}
