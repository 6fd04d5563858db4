package egress

import (
	"fmt"
	"slices"
)

// Qdisc is a queueing discipline.
type Qdisc struct {
	Link   int
	Kind   string
	Handle uint32
	Parent uint32
	Loss   uint32      // of netem: the share of packets that it drops, of 1<<32 - 1
	Rate   uint64      // of tbf: bytes per second
	Limit  *QueueLimit // of tbf, pfifo and bfifo
}

// Handles of qdiscs (linux/pkt_sched.h).
const (
	Root          uint32 = 0xffffffff // TC_H_ROOT
	ClsactIngress uint32 = 0xfffffff2 // TC_H_CLSACT and TC_H_MIN_INGRESS
	ClsactEgress  uint32 = 0xfffffff3 // TC_H_CLSACT and TC_H_MIN_EGRESS
	Ingress       uint32 = 0xffff0000 // the filters of the qdisc ingress
)

// Filter is a filter of a qdisc with its actions.
type Filter struct {
	Link       int
	Parent     uint32
	Priority   uint16
	Protocol   uint16 // ETH_P_*
	Chain      uint32
	Handle     uint32
	Kind       string // u32, flower, matchall, fw, bpf, ...
	Match      Match
	Direct     bool   // a BPF program that decides itself (direct-action)
	Program    string // the name of the BPF program
	Actions    []Action
	Next       uint32 // of u32: the hash table in which the search goes on; 0: none
	Unresolved bool   // a property is not decoded: it may select fewer packets
}

// Action is an action of a filter.
type Action struct {
	Kind    string // gact, mirred, pedit, ...
	Control Control
	Link    int  // of mirred: the index of the other link
	Mirror  bool // of mirred: a copy is sent there
	Ingress bool // of mirred: the packet is received there
	Chance  bool // it applies to a share of the packets
}

// Control is what happens after an action (TC_ACT_*, linux/pkt_cls.h).
type Control int32

// The controls.
const (
	NextFilter Control = -1
	Pass       Control = 0
	Shot       Control = 2
	Pipe       Control = 3 // the next action
	Stolen     Control = 4
	Queued     Control = 5
	Redirect   Control = 7
	Trap       Control = 8
)

// Effect is what a filter or qdisc does to a packet.
type Effect struct {
	Link    Link
	Text    string // the filter as tc(8) names it
	Does    string // what it does
	Certain bool   // it does that to this packet; otherwise it may
	Drops   bool
	Opaque  bool // it is a program, which is not decoded
	To      int  // the index of the link that it sends the packet to; 0: none
}

// shapers are the links that return packets to the link that redirected them (ifb: drivers/net/ifb.c).
var shapers = []string{"ifb"}

// Effects returns what traffic control does to an outgoing packet on its link and those below, in this order, apart from delay
// and classification. After a certain effect nothing follows.
func (s State) Effects(p Packet) (all []Effect) {
	if len(s.Filters) == 0 && !slices.ContainsFunc(s.Qdiscs, func(q Qdisc) bool { _, drops := q.drops(); return drops }) {
		return nil // of hundreds of links none needs to be walked
	}
	for i, l := range s.Below(p.Link) {
		effects := s.effectsOn(l, p, i > 0)
		all = append(all, effects...)
		if slices.ContainsFunc(effects, func(e Effect) bool { return e.Certain }) {
			break
		}
	}
	return all
}

func (s State) effectsOn(l Link, p Packet, below bool) (all []Effect) {
	for _, parent := range s.parents(l.Index) {
		for _, e := range s.classify(l, parent, p) {
			e.Certain = e.Certain && !below
			all = append(all, e)
			if e.Certain {
				return all
			}
		}
	}
	return append(all, s.qdiscEffects(l)...)
}

// LinkEffects returns what traffic control of a link can do to outgoing packets. An effect is certain when it concerns all packets
// of a family.
func (s State) LinkEffects(link int) (all []Effect) {
	l := s.Links[link]
	for _, parent := range s.parents(link) {
		for _, f := range s.Filters {
			if e, _ := s.act(f); f.Link == link && f.Parent == parent && e.Does != "" {
				e.Link, e.Text, e.Certain = l, s.filterText(f), e.Certain && f.selectsAll() && f.Chain == 0
				all = append(all, e)
			}
		}
	}
	return append(all, s.qdiscEffects(l)...)
}

// qdiscEffects returns the effects of the link's qdiscs themselves.
func (s State) qdiscEffects(l Link) (all []Effect) {
	for _, q := range s.Qdiscs {
		if e, drops := q.drops(); drops && q.Link == l.Index {
			e.Link, e.Text = l, fmt.Sprintf("qdisc %s %x: dev %s", q.Kind, q.Handle>>16, l.Name)
			all = append(all, e)
		}
	}
	return all
}

// parents returns the handles with filters for outgoing packets of the link: of clsact first, then of the qdiscs.
func (s State) parents(link int) (all []uint32) {
	for _, f := range s.Filters {
		if f.Link == link && f.Parent == ClsactEgress && !slices.Contains(all, f.Parent) {
			all = append(all, f.Parent)
		}
	}
	for _, f := range s.Filters {
		if f.Link == link && f.Parent>>16 != ClsactEgress>>16 && !slices.Contains(all, f.Parent) {
			all = append(all, f.Parent)
		}
	}
	return all
}

// classify returns the effects of the filters below a parent on the packet.
func (s State) classify(l Link, parent uint32, p Packet) (all []Effect) {
	for _, f := range s.Filters {
		if f.Link != l.Index || f.Parent != parent || f.Chain != 0 {
			continue
		}
		matched, certain := f.matches(p)
		if !matched {
			continue
		}
		e, ends := s.act(f)
		if e.Does != "" {
			e.Link, e.Text, e.Certain = l, s.filterText(f), certain && e.Certain
			all = append(all, e)
		}
		if ends && certain {
			return all
		}
	}
	return all
}

// act returns what the actions of a filter do to a packet that it matches, and whether no other filter follows.
func (s State) act(f Filter) (e Effect, ends bool) {
	if f.Direct {
		return Effect{Does: fmt.Sprintf("runs the BPF program %q, which decides what happens to the packet", f.Program), Opaque: true}, false
	}
	certain := true
	for _, a := range f.Actions {
		does, to := s.describe(a)
		certain = certain && !a.Chance
		if does != "" {
			return Effect{Does: does, Certain: certain && does != unknownAction(a), To: to}, true
		}
		switch {
		case a.Kind == "mirred" && !a.Mirror: // to a shaper, which returns the packet
			return e, true
		case a.Control == NextFilter:
			return e, false
		case a.Control == Pipe:
			continue
		case a.Control == Shot, a.Control == Stolen, a.Control == Queued, a.Control == Trap:
			return Effect{Does: "drops the packet", Certain: certain, Drops: true}, true
		case a.Control > Trap:
			return Effect{Does: "continues with another chain of filters"}, false
		}
		return e, true
	}
	return e, true
}

// harmlessActions neither change a packet's headers nor its link.
var harmlessActions = []string{"gact", "police", "skbedit", "csum", "connmark", "ctinfo", "sample", "simple", "gate"}

// describe returns what the action does to the packet, or "" when it only continues, and the link it redirects to, or 0.
func (s State) describe(a Action) (does string, to int) {
	switch {
	case a.Kind == "mirred" && a.Mirror, slices.Contains(harmlessActions, a.Kind):
		return "", 0
	case a.Kind == "mirred" && !a.Ingress && slices.Contains(shapers, s.Links[a.Link].Kind):
		return "", 0
	case a.Kind == "mirred":
		return "redirects the packet to " + s.LinkName(a.Link), a.Link
	case a.Kind == "pedit", a.Kind == "nat", a.Kind == "skbmod":
		return fmt.Sprintf("rewrites the packet (%s)", a.Kind), 0
	}
	return unknownAction(a), 0
}

func unknownAction(a Action) string { return fmt.Sprintf("may change the packet (%s)", a.Kind) }

// filterText returns the filter as tc(8) names it.
func (s State) filterText(f Filter) string {
	at := map[uint32]string{ClsactEgress: "egress", ClsactIngress: "ingress", Ingress: "ingress"}[f.Parent]
	if at == "" {
		at = fmt.Sprintf("parent %x:", f.Parent>>16)
		if f.Parent&0xffff != 0 {
			at = fmt.Sprintf("parent %x:%x", f.Parent>>16, f.Parent&0xffff)
		}
	}
	return fmt.Sprintf("tc filter dev %s %s pref %d %s", s.LinkName(f.Link), at, f.Priority, f.Kind)
}
