package netfilter

import (
	"bytes"
	"encoding/binary"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Attribute returns one netlink attribute, padded.
func Attribute(kind uint16, value []byte) []byte { return nlattr.Append(nil, kind, value) }

// StringAttribute returns an attribute that holds a name, terminated by a zero byte.
func StringAttribute(kind uint16, value string) []byte {
	return Attribute(kind, append([]byte(value), 0))
}

// Uint64Attribute returns an attribute that holds a number of 64 bits in network order.
func Uint64Attribute(kind uint16, value uint64) []byte {
	return Attribute(kind, binary.BigEndian.AppendUint64(nil, value))
}

// FindString returns the name that the first attribute of a kind holds, or an empty string.
func FindString(b []byte, kind uint16) string { return unix.ByteSliceToString(nlattr.Find(b, kind)) }

// HasString reports whether FindString returns the name, without memory of its own.
func HasString(b []byte, kind uint16, name string) bool {
	value, _, _ := bytes.Cut(nlattr.Find(b, kind), []byte{0})
	return string(value) == name
}

// FindUint32 returns the number in network order that the first attribute of a kind holds, or 0 if it has not 4 bytes.
func FindUint32(b []byte, kind uint16) uint32 {
	v := nlattr.Find(b, kind)
	if len(v) != 4 {
		return 0
	}
	return uint32(v.BigEndian())
}

// FindConstant returns the 32-bit constant in native order of a nested data attribute (NFTA_DATA_VALUE).
func FindConstant(b []byte, kind uint16) (n uint32, ok bool) {
	v := nlattr.Find(nlattr.Find(b, kind), unix.NFTA_DATA_VALUE)
	return v.Uint32(), len(v) == 4
}
