package rpdb

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/uplinks"
)

// Packet is what a look-up can see of a packet.
type Packet struct {
	Family uplinks.Family
	From   netip.Addr // not valid: the sender leaves the choice to the kernel
	To     netip.Addr
	In     string // the link it came in by; empty for the host's own
	Out    string // the link that its socket is bound to; empty for none
	Mark   uint32 // fwmark
	TOS    uint8  // the whole byte
	Proto  uint8  // IANA's number
	Sport  uint16
	Dport  uint16
	UID    uint32 // the owner of the socket; what comes in counts as root's
	VRF    string // the l3mdev that In or Out belongs to, empty for none
}

// loopback is the link by which the kernel says that the host's own packets come in.
const loopback = "lo"

func (p Packet) ingress() string {
	if p.In == "" {
		return loopback
	}
	return p.In
}

// source is what rules compare with: before an address is chosen it is the unspecified one.
func (p Packet) source() netip.Addr {
	if p.From.IsValid() {
		return p.From
	}
	return p.Family.DefaultPrefix().Addr()
}

// String prints the packet as ip-route(8) takes it behind "get".
func (p Packet) String() string {
	var w strings.Builder
	fmt.Fprint(&w, p.To)
	if p.From.IsValid() {
		fmt.Fprintf(&w, " from %s", p.From)
	}
	if p.In != "" {
		fmt.Fprintf(&w, " iif %s", p.In)
	}
	if p.Out != "" {
		fmt.Fprintf(&w, " oif %s", p.Out)
	}
	if p.Mark != 0 {
		fmt.Fprintf(&w, " mark %#x", p.Mark)
	}
	if p.TOS != 0 {
		fmt.Fprintf(&w, " tos %#x", p.TOS)
	}
	if p.UID != 0 {
		fmt.Fprintf(&w, " uid %d", p.UID)
	}
	if p.Proto != 0 {
		fmt.Fprintf(&w, " ipproto %s", ProtocolName(p.Proto))
	}
	if p.Sport != 0 {
		fmt.Fprintf(&w, " sport %d", p.Sport)
	}
	if p.Dport != 0 {
		fmt.Fprintf(&w, " dport %d", p.Dport)
	}
	return w.String()
}

// The protocols that have names here (RFC 5237), and those of them that the kernel takes in a question.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

var protocolNames = map[uint8]string{ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPv6: "ipv6-icmp", 33: "dccp", 47: "gre", 50: "esp",
	51: "ah", 132: "sctp", 136: "udplite"}

// ProtocolName is the name of a protocol, or else its number.
func ProtocolName(n uint8) string {
	if n == 0 {
		return "no protocol looked at"
	}
	if name, ok := protocolNames[n]; ok {
		return name
	}
	return fmt.Sprint(n)
}

// ProtocolNumber is the number of a protocol that has a name here.
func ProtocolNumber(name string) (uint8, bool) {
	for n, known := range protocolNames {
		if known == name {
			return n, true
		}
	}
	return 0, false
}

// HasPorts reports whether rules can look at the protocol's ports.
func HasPorts(proto uint8) bool {
	switch proto {
	case TCP, UDP, 33, 132, 136:
		return true
	}
	return false
}
