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
	In, Out string // names of links
	Group   uint32 // of the link In
	Ctmark  uint32 // the connection's
	Fwmark  uint32 // the packet's own
	Dir     string // in its connection: ORIGINAL or REPLY
	Assured bool   // its connection has seen both directions for good
	Met     int    // how many rules were asked about it so far
	Took    string // the last rule that took it: its chain, and its place there from 1
}

// Through walks the packet through a chain, and the chains that it jumps to, as the kernel does. It panics when a rule
// jumps to a chain that is not there, or in a circle.
func (p Packet) Through(chains []marks.Chain, start string) Packet {
	return p.walk(chains, start, len(chains))
}

// By walks the packet through what the hook leads to.
func (p Packet) By(chains []marks.Chain, h marks.Hook) Packet {
	return p.Through(append(slices.Clone(chains), marks.Chain{Name: h.Builtin, Rules: []marks.Rule{h.Rule}}), h.Builtin)
}

func (p Packet) walk(chains []marks.Chain, name string, depth int) Packet {
	if depth == 0 {
		panic("chains jump in a circle by " + name)
	}
	for i, r := range find(chains, name) {
		p.Met++
		if !p.selected(r) {
			continue
		}
		p.Took = fmt.Sprintf("%s %d", name, i+1)
		switch r.Target.Verb {
		case marks.Return:
			return p
		case marks.Jump:
			p = p.walk(chains, r.Target.Chain, depth-1)
		case marks.Goto:
			return p.walk(chains, r.Target.Chain, depth-1)
		case marks.SetCtmark:
			// xt_CONNMARK: the bits of the mask go, the mark's bits are turned over.
			p.Ctmark = p.Ctmark&^uint32(r.Target.Mask) ^ uint32(r.Target.Mark)
		case marks.RestoreMark:
			mask := uint32(r.Target.Mask)
			p.Fwmark = p.Fwmark&^mask ^ p.Ctmark&mask
		case marks.SaveMark:
			mask := uint32(r.Target.Mask)
			p.Ctmark = p.Ctmark&^mask ^ p.Fwmark&mask
		}
	}
	return p
}

// selected is what xt_mark, xt_connmark, xt_devgroup and xt_conntrack answer.
func (p Packet) selected(r marks.Rule) bool {
	switch {
	case !named(r.In, p.In),
		!named(r.Out, p.Out),
		r.SrcGroup != 0 && r.SrcGroup != p.Group,
		!passes(r.Fwmark, p.Fwmark),
		!passes(r.Ctmark, p.Ctmark),
		r.Dir != "" && r.Dir != p.Dir,
		r.Young && p.Assured:
		return false
	}
	return true
}

// named tells whether a link has the name, or begins with it when there is a + behind it.
func named(name, link string) bool {
	prefix, many := strings.CutSuffix(name, "+")
	return name == "" || name == link || many && strings.HasPrefix(link, prefix)
}

func passes(t marks.MarkTest, mark uint32) bool {
	return t == (marks.MarkTest{}) || (mark&uint32(t.Mask) == uint32(t.Mark)) != t.Not
}

func find(chains []marks.Chain, name string) []marks.Rule {
	for _, c := range chains {
		if c.Name == name {
			return c.Rules
		}
	}
	panic(fmt.Sprintf("no chain %s", name))
}
