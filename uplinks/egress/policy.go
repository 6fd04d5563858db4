package egress

import (
	"fmt"
	"net/netip"
)

// Policy is an IPsec policy. Its selector and mark select packets.
type Policy struct {
	Direction            Direction
	From, To             netip.Prefix
	Proto                uint8 // 0: any
	Sport, Dport         uint16
	SportMask, DportMask uint16
	Link                 int // 0: any
	Mark, Mask           uint32
	Priority             uint32
	Block                bool
	Templates            int    // the transformations; 0: packets pass as they are
	Optional             bool   // packets without the transformations pass too
	Interface            uint32 // if_id: the policy belongs to an xfrm interface
}

// Direction is the direction of a policy (linux/xfrm.h).
type Direction uint8

// The directions.
const (
	In Direction = iota
	Out
	Forward
)

var directionNames = map[Direction]string{In: "in", Out: "out", Forward: "fwd"}

// String returns the policy as ip-xfrm(8) prints it, on one line.
func (p Policy) String() string {
	text := fmt.Sprintf("src %s dst %s", p.From, p.To)
	if p.Proto != 0 {
		text += fmt.Sprintf(" proto %d", p.Proto)
	}
	if p.SportMask != 0 {
		text += fmt.Sprintf(" sport %d", p.Sport)
	}
	if p.DportMask != 0 {
		text += fmt.Sprintf(" dport %d", p.Dport)
	}
	text += " dir " + directionNames[p.Direction]
	if p.Block {
		text += " action block"
	}
	text += fmt.Sprintf(" priority %d", p.Priority)
	if p.Mask != 0 {
		text += fmt.Sprintf(" mark %#x/%#x", p.Mark, p.Mask)
	}
	if p.Templates > 0 {
		text += fmt.Sprintf(" (%d transformations)", p.Templates)
	}
	return text
}

// Passes reports whether packets that the policy selects go on as they are.
func (p Policy) Passes() bool {
	return !p.Block && (p.Templates == 0 || p.Optional && p.Direction != Out)
}

// FindPolicy returns the policy that decides about the packet in the direction: the one with the lowest priority number, and of
// equal ones the first (net/xfrm/xfrm_policy.c, xfrm_policy_lookup_bytype). Policies of xfrm interfaces select no other packets.
func (s State) FindPolicy(d Direction, p Packet) (best Policy, found bool) {
	for _, policy := range s.Policies {
		if policy.Direction == d && policy.Interface == 0 && policy.matches(p) && (!found || policy.Priority < best.Priority) {
			best, found = policy, true
		}
	}
	return best, found
}

// Blocks returns the policy that drops the packet in one of the directions.
func (s State) Blocks(p Packet, directions ...Direction) (policy Policy, blocked bool) {
	for _, d := range directions {
		if policy, found := s.FindPolicy(d, p); found && policy.Block {
			return policy, true
		}
	}
	return Policy{}, false
}

func (p Policy) matches(q Packet) bool {
	return p.From.Addr().Is4() == q.From.Addr().Is4() && p.From.Contains(q.From.Addr()) && p.To.Contains(q.To.Addr()) &&
		(p.Proto == 0 || p.Proto == q.Proto) && (p.Link == 0 || p.Link == q.Link) && q.Mark&p.Mask == p.Mark&p.Mask &&
		q.From.Port()&p.SportMask == p.Sport&p.SportMask && q.To.Port()&p.DportMask == p.Dport&p.DportMask
}
