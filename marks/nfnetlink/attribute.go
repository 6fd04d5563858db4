package nfnetlink

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// Attribute is one netlink attribute, padded.
func Attribute(kind uint16, value []byte) []byte {
	b := make([]byte, 0, align(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// StringAttribute is an attribute that holds a name.
func StringAttribute(kind uint16, value string) []byte {
	return Attribute(kind, append([]byte(value), 0))
}

// Uint64Attribute is an attribute that holds a number of 64 bits.
func Uint64Attribute(kind uint16, value uint64) []byte {
	return Attribute(kind, binary.BigEndian.AppendUint64(nil, value))
}

// Attributes are those of a message's body or of a nested attribute, in order.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			length, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
			kind &^= unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
			if length < 4 || length > len(b) || !yield(kind, b[4:length]) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

// Find is that of the first attribute of a kind, or nothing.
func Find(b []byte, kind uint16) []byte {
	for k, value := range Attributes(b) {
		if k == kind {
			return value
		}
	}
	return nil
}
