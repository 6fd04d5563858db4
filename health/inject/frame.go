package inject

import (
	"encoding/binary"
	"net/netip"
)

// Way is where a frame seems to come from, and where it goes.
type Way struct {
	MAC      []byte // of the link that it comes in on; nil where frames have no Ethernet header, as on tun
	From, To netip.AddrPort
}

// The protocols, as IP headers name them.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// ethernet is the length of an Ethernet header, which every frame begins with.
const ethernet = 14

// hops is the time to live of the frames.
const hops = 64

// neighbour is who the frames seem to come from on the wire: a locally administered address.
var neighbour = [6]byte{0x02, 'r', 'e', 'p', 'l', 'y'}

// Echo is an echo request; the port of From is its identifier.
func Echo(w Way) []byte {
	kind, proto := byte(8), byte(protoICMP)
	if !w.From.Addr().Is4() {
		kind, proto = 128, protoICMPv6
	}
	id := w.From.Port()
	return w.frame(proto, []byte{kind, 0, 0, 0, byte(id >> 8), byte(id), 0, 1, 'r', 'e', 'p', 'l', 'y', 'p', 'a', 't'}, 2)
}

// The flags of a TCP header.
const (
	flagSYN = 0x02
	flagRST = 0x04
)

// words is the length of a TCP header, and sequence the initial sequence number of every SYN.
const (
	words    = 5
	sequence = 0x7265706c
)

// SYN is a request to open a connection.
func SYN(w Way) []byte { return w.tcp(sequence, flagSYN) }

// RST takes back the SYN.
func RST(w Way) []byte { return w.tcp(sequence+1, flagRST) }

func (w Way) tcp(seq uint32, flags byte) []byte {
	const window = 64240
	b := w.ports(make([]byte, 0, 4*words))
	b = binary.BigEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, words<<4, flags)
	b = binary.BigEndian.AppendUint16(b, window)
	return w.frame(protoTCP, append(b, 0, 0, 0, 0), atChecksum)
}

// UDP is a datagram.
func UDP(w Way, payload []byte) []byte {
	b := w.ports(nil)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return w.frame(protoUDP, append(append(b, 0, 0), payload...), 6)
}

func (w Way) ports(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, w.From.Port())
	return binary.BigEndian.AppendUint16(b, w.To.Port())
}

// frame puts headers before the body, whose checksum goes to the place at.
func (w Way) frame(proto byte, body []byte, at int) []byte {
	from, to := w.From.Addr(), w.To.Addr()
	b := make([]byte, 6, ethernet+40+len(body))
	if w.MAC != nil {
		copy(b, w.MAC)
		b = append(b, neighbour[:]...)
	} else {
		b = append(b, make([]byte, 6)...)
	}
	var pseudo uint32
	if proto != protoICMP {
		pseudo = sum(sum(uint32(proto)+uint32(len(body)), from.AsSlice()), to.AsSlice())
	}
	binary.BigEndian.PutUint16(body[at:], fold(sum(pseudo, body)))
	if from.Is4() {
		b = append(b, 0x08, 0x00)
		header := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, hops, proto, 0, 0}
		binary.BigEndian.PutUint16(header[2:], uint16(20+len(body)))
		header = append(append(header, from.AsSlice()...), to.AsSlice()...)
		binary.BigEndian.PutUint16(header[10:], fold(sum(0, header)))
		return append(append(b, header...), body...)
	}
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	b = append(append(append(b, proto, hops), from.AsSlice()...), to.AsSlice()...)
	return append(b, body...)
}

// sum adds up 16-bit words as the Internet checksum does (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold makes a checksum of the sum. A sum of zero is sent as its other representation, as zero means "none" in UDP.
func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	if c := ^uint16(s); c != 0 {
		return c
	}
	return 0xffff
}
