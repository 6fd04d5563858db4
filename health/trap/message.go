package trap

import (
	"encoding/binary"

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
	b := header(unix.NFNL_SUBSYS_NFTABLES<<8|m.kind, flags, seq, 4+len(m.body))
	b = append(b, unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0)
	return append(b, m.body...)
}

func header(kind, flags uint16, seq uint32, body int) []byte {
	var b []byte
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+body))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, 0)
}

// attribute is one netlink attribute, padded.
func attribute(kind uint16, value []byte) []byte {
	var b []byte
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func text(kind uint16, value string) []byte { return attribute(kind, append([]byte(value), 0)) }

// number is a value in network order, as all of nftables' are.
func number(kind uint16, value uint32) []byte {
	return attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

// nest is an attribute that holds others.
func nest(kind uint16, parts ...[]byte) []byte {
	return attribute(kind|unix.NLA_F_NESTED, join(parts...))
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// parts calls each with the attributes in the order in which they stand.
func parts(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		length, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if length < 4 || length > len(b) {
			return
		}
		each(kind&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:length])
		b = b[min(align(length), len(b)):]
	}
}

// part is the value of the first attribute of that kind; nil: there is none.
func part(b []byte, kind uint16) (value []byte) {
	parts(b, func(k uint16, v []byte) {
		if k == kind && value == nil {
			value = v
		}
	})
	return value
}

func align(n int) int { return (n + 3) &^ 3 }
