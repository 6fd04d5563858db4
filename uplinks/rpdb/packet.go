package rpdb

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/uplinks"
)

// Packet has the properties of a packet that a look-up depends on (struct flowi4, flowi6).
type Packet struct {
	Family uplinks.Family
	From   netip.Addr // not valid: the sender leaves the choice to the kernel
	To     netip.Addr
	In     string // the link it came in by; empty: sent by this host
	Out    string // the link to which its socket is bound; empty: none
	Mark   uint32 // fwmark
	TOS    uint8  // the whole byte
	Proto  uint8  // IPPROTO_*
	Sport  uint16
	Dport  uint16
	UID    uint32 // the owner of the socket; 0 for incoming packets
	VRF    string // the VRF that In or Out belongs to; empty: none
}

// loopback is the link that the kernel uses as the incoming link of packets of this host.
const loopback = "lo"

// ingress returns the link that rules with iif are compared with.
func (p Packet) ingress() string {
	if p.In == "" {
		return loopback
	}
	return p.In
}

// source returns the address that rules are compared with: the unspecified one before the kernel has chosen.
func (p Packet) source() netip.Addr {
	if p.From.IsValid() {
		return p.From
	}
	return p.Family.DefaultPrefix().Addr()
}

// String returns the arguments of "ip route get" for the packet (ip-route(8)).
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

// Protocols with names here (IANA), of which the kernel supports these in look-ups.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

var protocolNames = map[uint8]string{ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPv6: "ipv6-icmp", 33: "dccp", 47: "gre", 50: "esp",
	51: "ah", 132: "sctp", 136: "udplite"}

// ProtocolName returns the name of the protocol, or else its number.
func ProtocolName(n uint8) string {
	if n == 0 {
		return "no protocol looked at"
	}
	if name, ok := protocolNames[n]; ok {
		return name
	}
	return fmt.Sprint(n)
}

// ProtocolNumber returns the number of a protocol by its name here.
func ProtocolNumber(name string) (uint8, bool) {
	for n, known := range protocolNames {
		if known == name {
			return n, true
		}
	}
	return 0, false
}

// HasPorts reports whether rules can match the ports of the protocol.
func HasPorts(proto uint8) bool {
	switch proto {
	case TCP, UDP, 33, 132, 136:
		return true
	}
	return false
}
