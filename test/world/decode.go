package world

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	ethernetHeader = 14
	markerType     = 0x88b5 // Ethernet's type for local experiments: the fence's frames
)

// decode reads as much of an Ethernet frame as is there. What is cut short or unknown leaves its fields zero.
func decode(frame []byte, dir Direction) Packet {
	p := Packet{Dir: dir}
	if len(frame) < ethernetHeader {
		return p
	}
	p.EtherType = binary.BigEndian.Uint16(frame[12:])
	switch b := frame[ethernetHeader:]; {
	case p.EtherType == unix.ETH_P_IP && len(b) >= 20:
		p.decodeIPv4(b)
	case p.EtherType == unix.ETH_P_IPV6 && len(b) >= 40:
		p.decodeIPv6(b)
	}
	return p
}

func (p *Packet) decodeIPv4(b []byte) {
	p.Family, p.Proto = 4, int(b[9])
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	p.Length = int(binary.BigEndian.Uint16(b[2:]))
	fragment := binary.BigEndian.Uint16(b[6:])
	p.DontFrag = fragment&0x4000 != 0
	p.Fragment = fragment&0x3fff != 0
	if header := int(b[0]&15) * 4; fragment&0x1fff == 0 && header <= len(b) {
		p.decodeTransport(b[header:])
	}
}

func (p *Packet) decodeIPv6(b []byte) {
	p.Family, p.DontFrag = 6, true
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	p.Length = 40 + int(binary.BigEndian.Uint16(b[4:]))
	next := int(b[6])
	b = b[40:]
	for len(b) >= 8 {
		size := 8 + int(b[1])*8
		switch next {
		case unix.IPPROTO_FRAGMENT:
			p.Fragment = true
			if binary.BigEndian.Uint16(b[2:])&^7 != 0 {
				p.Proto = int(b[0])
				return
			}
			size = 8
		case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_DSTOPTS:
		default:
			size = 0
		}
		if size == 0 || size > len(b) {
			break
		}
		next, b = int(b[0]), b[size:]
	}
	p.Proto = next
	p.decodeTransport(b)
}

func (p *Packet) decodeTransport(b []byte) {
	if len(b) < 8 {
		return
	}
	switch p.Proto {
	case TCP:
		p.decodePorts(b)
		p.decodeTCP(b)
	case UDP, UDPLite, SCTP:
		p.decodePorts(b)
	case ICMP, ICMPv6:
		p.ICMPType, p.ICMPCode = int(b[0]), int(b[1])
		p.decodeICMP(b)
	}
}

func (p *Packet) decodePorts(b []byte) {
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
}

func (p *Packet) decodeICMP(b []byte) {
	switch [2]int{p.Proto, p.ICMPType} {
	case [2]int{ICMP, 0}, [2]int{ICMP, 8}, [2]int{ICMPv6, 128}, [2]int{ICMPv6, 129}:
		p.ICMPID = int(binary.BigEndian.Uint16(b[4:]))
	case [2]int{ICMP, 3}:
		p.ICMPMTU = int(binary.BigEndian.Uint16(b[6:]))
	case [2]int{ICMPv6, 2}:
		p.ICMPMTU = int(binary.BigEndian.Uint32(b[4:]))
	}
	// Destination unreachable, time exceeded, parameter problem (RFC 792); all of ICMPv6's errors (RFC 4443).
	if p.Proto == ICMPv6 && p.ICMPType < 128 || p.Proto == ICMP && (p.ICMPType == 3 || p.ICMPType == 11 || p.ICMPType == 12) {
		p.decodeQuoted(b[8:])
	}
}

// decodeQuoted reads the ports of the IP packet that an error carries, which has the error's family.
func (p *Packet) decodeQuoted(b []byte) {
	var quoted Packet
	switch {
	case p.Family == 4 && len(b) >= 20:
		quoted.decodeIPv4(b)
	case p.Family == 6 && len(b) >= 40:
		quoted.decodeIPv6(b)
	}
	p.QuotedSrcPort, p.QuotedDstPort = quoted.SrcPort, quoted.DstPort
	if quoted.ICMPID != 0 {
		p.QuotedSrcPort = uint16(quoted.ICMPID)
	}
}

func (p *Packet) decodeTCP(b []byte) {
	if len(b) < 20 {
		return
	}
	p.Flags = TCPFlags(b[13]) & (FIN | SYN | RST | PSH | ACK)
	options := b[20:min(len(b), max(20, int(b[12]>>4)*4))]
	for len(options) >= 2 && options[0] != 0 {
		size := int(options[1])
		switch {
		case options[0] == 1: // no operation: one byte
			size = 1
		case size < 2 || size > len(options):
			return
		case options[0] == 2 && size == 4:
			p.MSS = int(binary.BigEndian.Uint16(options[2:]))
		}
		options = options[size:]
	}
}
