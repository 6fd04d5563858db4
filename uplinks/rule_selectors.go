package uplinks

import (
	"cmp"
	"fmt"
	"net/netip"
)

// Selectors are the selectors of ip-rule(8) that only rules for outbound connections and those of other programs have. The
// zero Selectors select every packet.
type Selectors struct {
	To           netip.Prefix
	OIF          string
	TOS          uint8
	Proto        uint8
	Sport, Dport PortRange
	UIDs         UIDRange
	Tunnel       uint64 // tun_id
	L3mdev       bool   // only links in a VRF
}

// PortRange is the ports from First to Last. The zero PortRange is all ports.
type PortRange struct{ First, Last uint16 }

// UIDRange is the user IDs from First to Last, if Set.
type UIDRange struct {
	First, Last uint32
	Set         bool
}

// String returns the range as ip-rule(8) reads it.
func (p PortRange) String() string { return formatRange(uint32(p.First), uint32(p.Last)) }

// String returns the range as ip-rule(8) reads it.
func (u UIDRange) String() string { return fmt.Sprintf("%d-%d", u.First, u.Last) }

func formatRange(first, last uint32) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// protocolNames are the protocols that ip-rule(8) is given by name.
var protocolNames = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}

// write adds the selectors that follow the source, and those that follow the ingress link, as arguments of ip-rule(8).
func (s Selectors) write(add func(format string, args ...any)) {
	if s.TOS != 0 {
		add("tos %#x", s.TOS)
	}
	if s.OIF != "" {
		add("oif %s", s.OIF)
	}
	if s.L3mdev {
		add("l3mdev")
	}
	if s.UIDs.Set {
		add("uidrange %s", s.UIDs)
	}
	if s.Proto != 0 {
		name := protocolNames[s.Proto]
		if name == "" {
			name = fmt.Sprint(s.Proto)
		}
		add("ipproto %s", name)
	}
	if s.Sport != (PortRange{}) {
		add("sport %s", s.Sport)
	}
	if s.Dport != (PortRange{}) {
		add("dport %s", s.Dport)
	}
	if s.Tunnel != 0 {
		add("tun_id %d", s.Tunnel)
	}
}

// compareSelectors sorts by the fields in their order.
func compareSelectors(a, b *Selectors) int {
	return cmp.Or(
		a.To.Addr().Compare(b.To.Addr()),
		cmp.Compare(a.To.Bits(), b.To.Bits()),
		cmp.Compare(a.OIF, b.OIF),
		cmp.Compare(a.TOS, b.TOS),
		cmp.Compare(a.Proto, b.Proto),
		cmp.Compare(a.Sport.First, b.Sport.First),
		cmp.Compare(a.Sport.Last, b.Sport.Last),
		cmp.Compare(a.Dport.First, b.Dport.First),
		cmp.Compare(a.Dport.Last, b.Dport.Last),
		cmp.Compare(a.UIDs.First, b.UIDs.First),
		cmp.Compare(a.UIDs.Last, b.UIDs.Last),
		compareBool(a.UIDs.Set, b.UIDs.Set),
		cmp.Compare(a.Tunnel, b.Tunnel),
		compareBool(a.L3mdev, b.L3mdev),
	)
}
