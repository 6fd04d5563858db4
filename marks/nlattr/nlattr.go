// Package nlattr encodes and decodes netlink attributes (netlink(7), struct nlattr in linux/netlink.h): a length and a
// type, 16 bits each in native byte order, then the value, padded to 4 bytes.
package nlattr

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

const (
	headerSize = 4      // NLA_HDRLEN
	alignment  = 4      // NLA_ALIGNTO
	typeMask   = 0x3fff // NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// All yields the type, without flags, and the value of each attribute in b, in order. b is a message behind its fixed
// header, or the value of a nested attribute. All stops at the first attribute that is truncated or shorter than its
// header. Values share memory with b.
func All(b []byte) iter.Seq2[uint16, Value] {
	return func(yield func(uint16, Value) bool) {
		for len(b) >= headerSize {
			length, attrType := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&typeMask
			if length < headerSize || length > len(b) || !yield(attrType, Value(b[headerSize:length])) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

// Find returns the value of the first attribute in b of the type, or nil when there is none.
func Find(b []byte, attrType uint16) Value {
	for t, v := range All(b) {
		if t == attrType {
			return v
		}
	}
	return nil
}

// Append appends an attribute with its padding to b. attrType may have flags. The value has at most 65531 bytes.
func Append(b []byte, attrType uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(headerSize+len(value)))
	b = binary.NativeEndian.AppendUint16(b, attrType)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

func align(n int) int { return (n + alignment - 1) &^ (alignment - 1) }

// Value is the value of an attribute. Its methods read the beginning of a longer value, and return the zero value for a
// shorter one.
type Value []byte

// Uint8 returns a number of one byte.
func (v Value) Uint8() uint8 {
	if len(v) < 1 {
		return 0
	}
	return v[0]
}

// Uint16 returns a number of two bytes in native order.
func (v Value) Uint16() uint16 {
	if len(v) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(v)
}

// Uint32 returns a number of four bytes in native order.
func (v Value) Uint32() uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

// BigEndian returns the number that all bytes of the value make in network order; of more than 8 bytes the last 8.
func (v Value) BigEndian() (n uint64) {
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

// Addr returns an address of 4 or 16 bytes, or the zero Addr for any other length.
func (v Value) Addr() netip.Addr {
	a, _ := netip.AddrFromSlice(v)
	return a
}

// Prefix returns the prefix of an address whose length another field of the message has.
func (v Value) Prefix(bits uint8) netip.Prefix { return netip.PrefixFrom(v.Addr(), int(bits)) }
