package rpdb

import (
	"net/netip"

	"replypath/uplinks"
)

// Rule is a rule of anybody's, with all that it selects by and does.
type Rule struct {
	Family   uplinks.Family
	Priority uplinks.Priority
	Protocol uint8 // who says to have added it (rtnetlink(7), rtm_protocol)
	Not      bool
	From, To netip.Prefix // not valid: all
	In, Out  string
	Mark     uint32
	Mask     uint32
	// What the type of service byte must be, under a mask of what is compared. DSCP says that the rule was written with
	// dscp and not with tos.
	TOS, TOSMask uint8
	DSCP         bool
	Label        uint32 // flow label, under LabelMask
	LabelMask    uint32
	Proto        uint8 // 0: any
	Sport, Dport Ports
	Users        *Users // nil: all
	Tunnel       uint64 // tun_id; 0: any
	L3mdev       bool   // only for links in a VRF, whose table is asked
	Unknown      []uint16
	Action       uplinks.Action
	Table        uplinks.Table
	Goto         uplinks.Priority
	// Suppressors, as in uplinks.Rule.
	SuppressLength int32
	SuppressGroup  int64
}

// The actions that uplinks does not use (linux/fib_rules.h).
const (
	Blackhole   uplinks.Action = 6
	Unreachable uplinks.Action = 7
	Prohibit    uplinks.Action = 8
)

// Ports are those from First to Last, or with a Mask those that agree with First in its bits. The zero Ports are all.
type Ports struct{ First, Last, Mask uint16 }

// Users are the owners of sockets from First to Last.
type Users struct{ First, Last uint32 }

func (p Ports) holds(port uint16) bool {
	switch {
	case p == Ports{}:
		return true
	case p.Mask != 0:
		return (p.First^port)&p.Mask == 0
	}
	return p.First <= port && port <= p.Last
}

// inside reports whether the rule looks at what is behind the packet's IP header.
func (r *Rule) inside() bool {
	return r.Proto != 0 || r.Sport != Ports{} || r.Dport != Ports{}
}

// dissects reports whether the rule makes the kernel look behind the IP header of what comes in. One for the host's own
// packets does not (fib_rule_requires_fldissect).
func (r *Rule) dissects() bool { return r.In != loopback && r.inside() }
