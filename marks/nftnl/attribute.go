package nftnl

import (
	"encoding/binary"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// Uint32Attribute returns an attribute that holds a number of 32 bits in network order.
func Uint32Attribute(kind uint16, value uint32) []byte {
	return netfilter.Attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

// Nested returns an attribute that contains others.
func Nested(kind uint16, parts ...[]byte) []byte {
	return netfilter.Attribute(kind|unix.NLA_F_NESTED, slices.Concat(parts...))
}

// data returns an attribute that contains a value (NFTA_DATA_VALUE).
func data(kind uint16, value []byte) []byte {
	return Nested(kind, netfilter.Attribute(unix.NFTA_DATA_VALUE, value))
}

// Native returns the four bytes of a number in native order, as registers hold marks and indices.
func Native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
