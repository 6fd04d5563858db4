package capture

import (
	"encoding/binary"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// request is a request to nftables (linux/netfilter/nf_tables.h).
type request struct {
	operation string // for people
	msgType   uint16
	flags     uint16
	body      []byte // attributes
}

func (m request) bytes(flags uint16, seq uint32) []byte {
	return netfilter.Message(m.msgType, flags, seq, unix.NFPROTO_INET, m.body)
}

// be32 is a value in network order, as all of nftables' are.
func be32(kind uint16, value uint32) []byte {
	return netfilter.Attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

// nested is an attribute that holds others.
func nested(kind uint16, parts ...[]byte) []byte {
	return netfilter.Attribute(kind|unix.NLA_F_NESTED, slices.Concat(parts...))
}
