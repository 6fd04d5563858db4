package rpdb

import "replypath/uplinks"

// The bits of the type of service that a rule compares: IPv4 only those of RFC 1349, IPv6 all but the two of ECN.
const (
	tosMask4 = 0x1c
	tosMask6 = 0xfc
)

// FromRule returns the rule of package uplinks, with the protocol that the kernel reports for it, as a rule of this package.
// Selectors that package uplinks does not decode are left out.
func FromRule(r uplinks.Rule, protocol uint8) Rule {
	out := Rule{Family: r.Family, Priority: r.Priority, Protocol: protocol, Not: r.Not, From: r.From, In: r.IIF, Mark: uint32(r.Mark), Mask: uint32(r.Mask),
		Action: r.Action, Table: r.Table, Goto: r.Goto, SuppressLength: r.SuppressLength, SuppressGroup: r.SuppressGroup,
		To: r.To, Out: r.OIF, Proto: r.Proto, Tunnel: r.Tunnel, L3mdev: r.L3mdev, TOS: r.TOS, Sport: PortRange{First: r.Sport.First, Last: r.Sport.Last}, Dport: PortRange{First: r.Dport.First, Last: r.Dport.Last}}
	if r.TOS != 0 {
		out.TOSMask = map[uplinks.Family]uint8{uplinks.IPv4: tosMask4, uplinks.IPv6: tosMask6}[r.Family]
	}
	if r.UIDs.Set {
		out.UIDs = &UIDRange{r.UIDs.First, r.UIDs.Last}
	}
	return out
}
