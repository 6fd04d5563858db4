package trap

import (
	"encoding/binary"
	"slices"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// message is a request to nftables (linux/netfilter/nf_tables.h).
type message struct {
	what  string // for people
	kind  uint16
	flags uint16
	body  []byte // attributes
}

func (m message) bytes(flags uint16, seq uint32) []byte {
	return nfnetlink.Message(m.kind, flags, seq, unix.NFPROTO_INET, m.body)
}

// number is a value in network order, as all of nftables' are.
func number(kind uint16, value uint32) []byte {
	return nfnetlink.Attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

// nest is an attribute that holds others.
func nest(kind uint16, parts ...[]byte) []byte {
	return nfnetlink.Attribute(kind|unix.NLA_F_NESTED, slices.Concat(parts...))
}
