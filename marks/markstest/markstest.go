// Package markstest follows packets through the mangle rules without a kernel.
package markstest

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
)

// Packet is what the rules can see of a packet, and what they can change.
type Packet struct {
	In, Out        string // names of links
	Group          uint32 // of the link In
	Ctmark         uint32 // the connection's
	Fwmark         uint32 // the packet's own
	Dir            string // in its connection: ORIGINAL or REPLY
	Assured        bool   // its connection has seen both directions for good
	RulesEvaluated int    // how many rules were asked about it so far
	MatchedBy      string // the last rule that took it: its chain, and its place there from 1
}

// Traverse walks the packet through a chain, and the chains that it jumps to, as the kernel does. It panics when a rule
// jumps to a chain that is not there, or in a circle.
func (p Packet) Traverse(chains []marks.Chain, start string) Packet {
	return p.traverse(chains, start, len(chains))
}

// TraverseHook walks the packet through what the hook leads to.
func (p Packet) TraverseHook(chains []marks.Chain, h marks.Hook) Packet {
	return p.Traverse(append(slices.Clone(chains), marks.Chain{Name: h.Builtin, Rules: []marks.Rule{h.Rule}}), h.Builtin)
}

func (p Packet) traverse(chains []marks.Chain, name string, depth int) Packet {
	if depth == 0 {
		panic("chains jump in a circle by " + name)
	}
	for i, r := range findChain(chains, name) {
		p.RulesEvaluated++
		if !p.matches(r) {
			continue
		}
		p.MatchedBy = fmt.Sprintf("%s %d", name, i+1)
		switch r.Action.Kind {
		case marks.Return:
			return p
		case marks.Jump:
			p = p.traverse(chains, r.Action.Chain, depth-1)
		case marks.Goto:
			return p.traverse(chains, r.Action.Chain, depth-1)
		case marks.SetCtmark:
			// xt_CONNMARK: the bits of the mask go, the mark's bits are turned over.
			p.Ctmark = p.Ctmark&^uint32(r.Action.Mask) ^ uint32(r.Action.Mark)
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

// matches is what xt_mark, xt_connmark, xt_devgroup and xt_conntrack answer.
func (p Packet) matches(r marks.Rule) bool {
	switch {
	case !linkMatches(r.In, p.In),
		!linkMatches(r.Out, p.Out),
		r.SrcGroup != 0 && r.SrcGroup != p.Group,
		!markMatches(r.Fwmark, p.Fwmark),
		!markMatches(r.Ctmark, p.Ctmark),
		r.Dir != "" && r.Dir != p.Dir,
		r.NotAssured && p.Assured:
		return false
	}
	return true
}

// linkMatches tells whether a link has the name, or begins with it when there is a + behind it.
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
