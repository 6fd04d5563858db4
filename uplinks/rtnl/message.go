package rtnl

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

var order = binary.NativeEndian

// message is one to the kernel (netlink(7)): a header, what its kind has first, and attributes.
type message []byte

// newMessage begins with room for what a kind has first.
func newMessage(kind, flags uint16, size int) message {
	m := make(message, unix.SizeofNlMsghdr+size, 160)
	order.PutUint16(m[4:], kind)
	order.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	return m
}

// body is what the kind has first.
func (m message) body() []byte { return m[unix.SizeofNlMsghdr:] }

// attribute adds one, padded.
func (m *message) attribute(kind uint16, value []byte) {
	b := order.AppendUint16(*m, uint16(unix.SizeofRtAttr+len(value)))
	b = append(order.AppendUint16(b, kind), value...)
	*m = append(b, make([]byte, -len(b)&(unix.NLMSG_ALIGNTO-1))...)
}

func (m *message) word(kind uint16, n uint32) {
	var b [4]byte
	order.PutUint32(b[:], n)
	m.attribute(kind, b[:])
}

func (m *message) address(kind uint16, a netip.Addr) { m.attribute(kind, a.AsSlice()) }

// number makes the message whole: the kernel names it by its sequence in what it answers.
func (m message) number(sequence uint32) {
	order.PutUint32(m, uint32(len(m)))
	order.PutUint32(m[8:], sequence)
}

// acknowledged asks for an answer in any case; without it the kernel answers only what it does not do.
func (m message) acknowledged() { order.PutUint16(m[6:], order.Uint16(m[6:])|unix.NLM_F_ACK) }

// typeMask leaves the flags of an attribute's type away.
const typeMask = nl.NLA_TYPE_MASK

// attributes are those of a message behind what its kind has first, or of one that holds others, by their types without
// flags. What is cut off is left out.
func attributes(b []byte) iter.Seq2[uint16, value] {
	return func(yield func(uint16, value) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length, kind := int(order.Uint16(b)), order.Uint16(b[2:])&typeMask
			if length < unix.SizeofRtAttr || length > len(b) || !yield(kind, value(b[unix.SizeofRtAttr:length])) {
				return
			}
			b = b[min((length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
		}
	}
}
