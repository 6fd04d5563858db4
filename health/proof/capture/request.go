package capture

import (
	"encoding/binary"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// request is one request to nftables.
type request struct {
	operation string // for error messages
	msgType   uint16
	flags     uint16
	body      []byte // the attributes
}

func (m request) bytes(flags uint16, seq uint32) []byte {
	return netfilter.Message(m.msgType, flags, seq, unix.NFPROTO_INET, m.body)
}

// be32 returns an attribute with a number in network byte order.
func be32(kind uint16, value uint32) []byte {
	return netfilter.Attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

// nested returns an attribute that contains others.
func nested(kind uint16, parts ...[]byte) []byte {
	return netfilter.Attribute(kind|unix.NLA_F_NESTED, slices.Concat(parts...))
}
