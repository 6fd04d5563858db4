package rpdb

import (
	"net/netip"

	"replypath/uplinks"
)

// Rule is a rule of any program, with all selectors and actions that the kernel supports.
type Rule struct {
	Family   uplinks.Family
	Priority uplinks.Priority
	Protocol uint8 // the program that added it (rtnetlink(7), rtm_protocol)
	Not      bool
	From, To netip.Prefix // not valid: all
	In, Out  string
	Mark     uint32
	Mask     uint32
	// TOS is compared with the type of service byte in the bits of TOSMask. DSCP reports that the rule was written with dscp
	// and not with tos.
	TOS, TOSMask  uint8
	DSCP          bool
	FlowLabel     uint32 // IPv6 flow label, compared in the bits of FlowLabelMask
	FlowLabelMask uint32
	Proto         uint8 // 0: any
	Sport, Dport  PortRange
	UIDs          *UIDRange // nil: all
	Tunnel        uint64    // tun_id; 0: any
	L3mdev        bool      // only for links in a VRF; the look-up uses the table of the VRF
	UnknownAttrs  []uint16
	Action        uplinks.Action
	Table         uplinks.Table
	Goto          uplinks.Priority
	// Suppressors, as in uplinks.Rule.
	SuppressLength int32
	SuppressGroup  int64
}

// Actions that package uplinks does not use (linux/fib_rules.h).
const (
	Blackhole   uplinks.Action = 6
	Unreachable uplinks.Action = 7
	Prohibit    uplinks.Action = 8
)

// PortRange is the ports from First to Last, or with a Mask those that equal First in its bits. The zero PortRange is all
// ports.
type PortRange struct{ First, Last, Mask uint16 }

// UIDRange is the user IDs from First to Last.
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

// selectsTransport reports whether the rule matches protocol or ports.
func (r *Rule) selectsTransport() bool {
	return r.Proto != 0 || r.Sport != PortRange{} || r.Dport != PortRange{}
}

// needsFlowDissection reports whether the rule makes the kernel parse the transport header of incoming packets. A rule for
// packets of the host does not (fib_rule_requires_fldissect).
func (r *Rule) needsFlowDissection() bool { return r.In != loopback && r.selectsTransport() }
