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
	TOS, TOSMask  uint8
	DSCP          bool
	FlowLabel     uint32 // flow label, under FlowLabelMask
	FlowLabelMask uint32
	Proto         uint8 // 0: any
	Sport, Dport  PortRange
	UIDs          *UIDRange // nil: all
	Tunnel        uint64    // tun_id; 0: any
	L3mdev        bool      // only for links in a VRF, whose table is asked
	UnknownAttrs  []uint16
	Action        uplinks.Action
	Table         uplinks.Table
	Goto          uplinks.Priority
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

// PortRange are those from First to Last, or with a Mask those that agree with First in its bits. The zero PortRange are all.
type PortRange struct{ First, Last, Mask uint16 }

// UIDRange are the owners of sockets from First to Last.
type UIDRange struct{ First, Last uint32 }

func (p PortRange) contains(port uint16) bool {
	switch {
	case p == PortRange{}:
		return true
	case p.Mask != 0:
		return (p.First^port)&p.Mask == 0
	}
	return p.First <= port && port <= p.Last
}

// selectsTransport reports whether the rule looks at what is behind the packet's IP header.
func (r *Rule) selectsTransport() bool {
	return r.Proto != 0 || r.Sport != PortRange{} || r.Dport != PortRange{}
}

// needsFlowDissection reports whether the rule makes the kernel look behind the IP header of what comes in. One for the host's own
// packets does not (fib_rule_requires_fldissect).
func (r *Rule) needsFlowDissection() bool { return r.In != loopback && r.selectsTransport() }
