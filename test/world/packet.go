package world

import (
	"fmt"
	"net/netip"
	"strings"
)

// Direction is the way that a packet crossed a link, as seen from the link's host.
type Direction string

// In is received, Out is sent.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// Protocol numbers of IP.
const (
	ICMP    = 1
	TCP     = 6
	UDP     = 17
	ICMPv6  = 58
	SCTP    = 132
	UDPLite = 136
	RawIP   = 253 // for experiments, RFC 3692
)

// TCPFlags are the flags of a TCP segment.
type TCPFlags uint8

// The flags.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Packet is what a recorder saw, as a plain value: two packets that look alike are equal.
type Packet struct {
	Dir       Direction
	EtherType uint16
	Family    int // 4, 6, or 0 for what is not IP
	Proto     int // of IP, after IPv6 extension headers
	Src, Dst  netip.Addr
	Length    int  // of the IP packet; one that the card would cut into segments counts as one
	DontFrag  bool // IPv4's DF; always set for IPv6
	Fragment  bool // a part of a larger packet; only the first part has ports

	SrcPort, DstPort uint16
	Flags            TCPFlags
	MSS              int // TCP's option; 0 when absent

	ICMPType, ICMPCode int
	ICMPID             int // of an echo
	ICMPMTU            int // of "fragmentation needed" and "packet too big"

	// The ports of the packet that an error of ICMP quotes; of an echo the identifier is the source port.
	QuotedSrcPort, QuotedDstPort uint16
}

// From reports whether the packet is IP and has that source.
func (p Packet) From(a netip.Addr) bool { return p.Family != 0 && p.Src == a }

// To reports whether the packet is IP and has that destination.
func (p Packet) To(a netip.Addr) bool { return p.Family != 0 && p.Dst == a }

// IsDiscovery reports whether the packet belongs to IPv6 neighbour discovery (RFC 4861).
func (p Packet) IsDiscovery() bool {
	return p.Proto == ICMPv6 && p.ICMPType >= 133 && p.ICMPType <= 137
}

// Is reports whether all of the given flags are set.
func (f TCPFlags) Is(flags TCPFlags) bool { return f&flags == flags }

// String prints the flags as tcpdump does.
func (f TCPFlags) String() string {
	var s strings.Builder
	for i, c := range "FSRP." {
		if f&(1<<i) != 0 {
			s.WriteRune(c)
		}
	}
	return s.String()
}

// String prints the packet in one line.
func (p Packet) String() string {
	if p.Family == 0 {
		return fmt.Sprintf("%s ethertype %#04x", p.Dir, p.EtherType)
	}
	head := fmt.Sprintf("%s %s > %s", p.Dir, p.Src, p.Dst)
	switch p.Proto {
	case ICMP, ICMPv6:
		return fmt.Sprintf("%s icmp %d/%d length %d", head, p.ICMPType, p.ICMPCode, p.Length)
	case TCP, UDP, UDPLite, SCTP:
		head = fmt.Sprintf("%s %s > %s", p.Dir, netip.AddrPortFrom(p.Src, p.SrcPort), netip.AddrPortFrom(p.Dst, p.DstPort))
	}
	if p.Proto == TCP {
		return fmt.Sprintf("%s tcp [%s] mss %d length %d", head, p.Flags, p.MSS, p.Length)
	}
	return fmt.Sprintf("%s proto %d length %d", head, p.Proto, p.Length)
}
