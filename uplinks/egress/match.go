package egress

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Match is what a filter compares. All comparisons must hold.
type Match struct {
	Words    []WordMatch   // of u32
	Proto    uint8         // of flower; 0: any
	From, To PrefixMatch   // of flower
	Sport    PortMatch     // of flower
	Dport    PortMatch     // of flower
	TOS      MaskedByte    // of flower
	Mark     *MaskedNumber // of fw
}

// WordMatch compares 32 bits, counted from the network header.
type WordMatch struct {
	Offset      int
	Mask, Value uint32
}

// PrefixMatch compares an address with a mask, which need not be contiguous.
type PrefixMatch struct{ Addr, Mask netip.Addr }

// PortMatch compares a port: with a mask, or with a range.
type PortMatch struct {
	Value, Mask uint16
	First, Last uint16 // both 0: no range
}

// MaskedByte compares the bits of a byte.
type MaskedByte struct{ Value, Mask uint8 }

// MaskedNumber compares the bits of a number.
type MaskedNumber struct{ Value, Mask uint32 }

// Link layer protocols (linux/if_ether.h).
const (
	EtherAll  uint16 = 0x0003
	EtherIPv4 uint16 = 0x0800
	EtherIPv6 uint16 = 0x86dd
)

// matches reports whether the filter selects the packet, and whether that is certain.
func (f Filter) matches(p Packet) (matched, certain bool) {
	own := EtherIPv4
	if p.To.Addr().Is6() {
		own = EtherIPv6
	}
	if f.Protocol != EtherAll && f.Protocol != own {
		return false, true
	}
	known := !f.Unresolved
	switch f.Kind {
	case "matchall":
		return true, known
	case "fw":
		return f.Match.Mark == nil || p.Mark&f.Match.Mark.Mask == f.Match.Mark.Value&f.Match.Mark.Mask, known
	case "u32":
		matched, certain = f.Match.matchesWords(p)
		return matched, certain && known
	case "flower":
		return f.Match.matchesFields(p), known
	}
	return true, false
}

// selectsAll reports whether the filter selects all packets of a protocol.
func (f Filter) selectsAll() bool {
	ip := f.Protocol == EtherAll || f.Protocol == EtherIPv4 || f.Protocol == EtherIPv6
	switch f.Kind {
	case "matchall":
		return ip && !f.Unresolved
	case "u32":
		return ip && !f.Unresolved && !slices.ContainsFunc(f.Match.Words, func(w WordMatch) bool { return w.Mask != 0 })
	case "flower":
		m := f.Match
		return ip && !f.Unresolved && m.Proto == 0 && !m.From.Addr.IsValid() && !m.To.Addr.IsValid() && m.Sport == PortMatch{} && m.Dport == PortMatch{} && m.TOS.Mask == 0
	}
	return false
}

// matchesWords compares the words of u32 with the header of the packet, as far as its content is known.
func (m Match) matchesWords(p Packet) (matched, certain bool) {
	header, known := p.header()
	certain = true
	for _, w := range m.Words {
		if w.Offset < 0 || w.Offset+4 > len(header) {
			certain = false
			continue
		}
		have, sure := binary.BigEndian.Uint32(header[w.Offset:]), binary.BigEndian.Uint32(known[w.Offset:])
		if (have^w.Value)&w.Mask&sure != 0 {
			return false, true
		}
		certain = certain && w.Mask&^sure == 0
	}
	return true, certain
}

// header returns the IP header of the packet without options and the ports behind it, and which of the bits are known.
func (p Packet) header() (header, known []byte) {
	set := func(at int, value ...byte) {
		copy(header[at:], value)
		for i := range value {
			known[at+i] = 0xff
		}
	}
	ports := 20
	if p.To.Addr().Is6() {
		ports = 40
	}
	header, known = make([]byte, ports+8), make([]byte, ports+8)
	if p.To.Addr().Is6() {
		set(0, 0x60|p.TOS>>4)
		header[1], known[1] = p.TOS<<4, 0xf0
		set(6, p.Proto)
		set(8, p.From.Addr().AsSlice()...)
		set(24, p.To.Addr().AsSlice()...)
	} else {
		set(0, 0x45, p.TOS)
		set(9, p.Proto)
		set(12, p.From.Addr().AsSlice()...)
		set(16, p.To.Addr().AsSlice()...)
	}
	if p.hasPorts() {
		set(ports, binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.From.Port()), p.To.Port())...)
	}
	return header, known
}

// matchesFields compares the fields of flower.
func (m Match) matchesFields(p Packet) bool {
	ports := m.Sport == PortMatch{} && m.Dport == PortMatch{} || p.hasPorts()
	return ports && (m.Proto == 0 || m.Proto == p.Proto) && m.From.matches(p.From.Addr()) && m.To.matches(p.To.Addr()) &&
		m.Sport.matches(p.From.Port()) && m.Dport.matches(p.To.Port()) && p.TOS&m.TOS.Mask == m.TOS.Value&m.TOS.Mask
}

func (m PrefixMatch) matches(a netip.Addr) bool {
	if !m.Addr.IsValid() {
		return true
	}
	have, want, mask := a.AsSlice(), m.Addr.AsSlice(), m.Mask.AsSlice()
	if len(have) != len(want) {
		return false
	}
	for i := range have {
		bits := byte(0xff)
		if mask != nil {
			bits = mask[i]
		}
		if (have[i]^want[i])&bits != 0 {
			return false
		}
	}
	return true
}

func (m PortMatch) matches(port uint16) bool {
	return port&m.Mask == m.Value&m.Mask && (m.First == 0 && m.Last == 0 || port >= m.First && port <= m.Last)
}
