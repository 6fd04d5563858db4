package inject

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// FrameAddrs are the addresses of a frame.
type FrameAddrs struct {
	MAC      []byte // of the receiving interface; nil: its frames have no Ethernet header, as on tun
	From, To netip.AddrPort
	Sender   []byte // hardware address of the router that sends it; nil: one that no router has
}

// The protocol numbers of IP headers.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// ethernetHeaderLen is the length of the Ethernet header, which every frame begins with.
const ethernetHeaderLen = 14

// hopLimit is the TTL or hop limit of the frames.
const hopLimit = 64

// SourceMAC is the source of frames of no router in particular, a locally administered address.
var SourceMAC = [6]byte{0x02, 'r', 'e', 'p', 'l', 'y'}

// EchoRequest returns an ICMP echo request with the data. The port of From is its identifier.
func EchoRequest(a FrameAddrs, data []byte) []byte {
	kind, proto := byte(8), byte(protoICMP)
	if !a.From.Addr().Is4() {
		kind, proto = 128, protoICMPv6
	}
	id := a.From.Port()
	return a.frame(proto, append([]byte{kind, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}, data...), 2)
}

// The flags of a TCP header.
const (
	flagSYN = 0x02
	flagRST = 0x04
)

// tcpHeaderWords is the length of the TCP header in words of 32 bits.
const tcpHeaderWords = 5

// SYN returns a TCP SYN with the initial sequence number.
func SYN(a FrameAddrs, sequence uint32) []byte { return a.tcp(sequence, flagSYN) }

// RST returns the TCP RST that takes back that SYN.
func RST(a FrameAddrs, sequence uint32) []byte { return a.tcp(sequence+1, flagRST) }

func (a FrameAddrs) tcp(seq uint32, flags byte) []byte {
	const window = 64240
	b := a.ports(make([]byte, 0, 4*tcpHeaderWords))
	b = binary.BigEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, tcpHeaderWords<<4, flags)
	b = binary.BigEndian.AppendUint16(b, window)
	return a.frame(protoTCP, append(b, 0, 0, 0, 0), offsetChecksum)
}

// Segment returns a TCP segment, which begins with its header, with the checksum that it must have: of one that was received on
// this host it may not be computed yet.
func (a FrameAddrs) Segment(segment []byte) []byte {
	b := slices.Clone(segment)
	b[offsetChecksum], b[offsetChecksum+1] = 0, 0
	return a.frame(protoTCP, b, offsetChecksum)
}

// UDP returns a datagram.
func UDP(a FrameAddrs, payload []byte) []byte {
	b := a.ports(nil)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return a.frame(protoUDP, append(append(b, 0, 0), payload...), 6)
}

// UDPPacket returns a datagram as an IP packet.
func UDPPacket(from, to netip.AddrPort, payload []byte) []byte {
	return UDP(FrameAddrs{From: from, To: to}, payload)[ethernetHeaderLen:]
}

func (a FrameAddrs) ports(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, a.From.Port())
	return binary.BigEndian.AppendUint16(b, a.To.Port())
}

// frame returns the body behind its headers. The body's checksum is written at checksumOffset.
func (a FrameAddrs) frame(proto byte, body []byte, checksumOffset int) []byte {
	from, to := a.From.Addr(), a.To.Addr()
	b := make([]byte, 6, ethernetHeaderLen+40+len(body))
	if a.MAC != nil {
		copy(b, a.MAC)
		b = append(b, SourceMAC[:]...)
		copy(b[6:], a.Sender)
	} else {
		b = append(b, make([]byte, 6)...)
	}
	var pseudo uint32
	if proto != protoICMP {
		pseudo = addWords(addWords(uint32(proto)+uint32(len(body)), from.AsSlice()), to.AsSlice())
	}
	binary.BigEndian.PutUint16(body[checksumOffset:], checksum(addWords(pseudo, body)))
	if from.Is4() {
		b = append(b, 0x08, 0x00)
		header := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, hopLimit, proto, 0, 0}
		binary.BigEndian.PutUint16(header[2:], uint16(20+len(body)))
		header = append(append(header, from.AsSlice()...), to.AsSlice()...)
		binary.BigEndian.PutUint16(header[10:], checksum(addWords(0, header)))
		return append(append(b, header...), body...)
	}
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	b = append(append(append(b, proto, hopLimit), from.AsSlice()...), to.AsSlice()...)
	return append(b, body...)
}

// addWords adds the 16-bit words of b to the sum of an Internet checksum (RFC 1071).
func addWords(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// checksum returns the checksum of the sum. Zero, which means "none" in UDP, is replaced by its other representation.
func checksum(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	if c := ^uint16(s); c != 0 {
		return c
	}
	return 0xffff
}
