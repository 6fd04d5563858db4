package nfnetlink

import (
	"encoding/binary"

	"replypath/marks/nlattr"
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
