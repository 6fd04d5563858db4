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
	family    uint8  // NFPROTO_* of the table; 0: inet
	msgType   uint16
	flags     uint16
	body      []byte // the attributes
}

func (m request) bytes(flags uint16, seq uint32) []byte {
	family := m.family
	if family == 0 {
		family = unix.NFPROTO_INET
	}
	return netfilter.Message(m.msgType, flags, seq, family, m.body)
}

// be32 returns an attribute with a number in network byte order.
func be32(kind uint16, value uint32) []byte {
	return netfilter.Attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

// nested returns an attribute that contains others.
func nested(kind uint16, parts ...[]byte) []byte {
	return netfilter.Attribute(kind|unix.NLA_F_NESTED, slices.Concat(parts...))
}

// forNetdev returns the requests for the table of the family netdev.
func forNetdev(all ...request) []request {
	for i := range all {
		all[i].family = unix.NFPROTO_NETDEV
	}
	return all
}
