package rtnl

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

var nativeEndian = binary.NativeEndian

// message is one to the kernel (netlink(7)): a header, what its kind has first, and attributes.
type message []byte

// newMessage begins with room for what a kind has first.
func newMessage(messageType, flags uint16, headerSize int) message {
	m := make(message, unix.SizeofNlMsghdr+headerSize, 160)
	nativeEndian.PutUint16(m[4:], messageType)
	nativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	return m
}

// header is what the kind has first.
func (m message) header() []byte { return m[unix.SizeofNlMsghdr:] }

// addAttr adds one, padded.
func (m *message) addAttr(kind uint16, value []byte) {
	b := nativeEndian.AppendUint16(*m, uint16(unix.SizeofRtAttr+len(value)))
	b = append(nativeEndian.AppendUint16(b, kind), value...)
	*m = append(b, make([]byte, -len(b)&(unix.NLMSG_ALIGNTO-1))...)
}

func (m *message) addUint32(kind uint16, n uint32) {
	var b [4]byte
	nativeEndian.PutUint32(b[:], n)
	m.addAttr(kind, b[:])
}

func (m *message) addAddr(kind uint16, a netip.Addr) { m.addAttr(kind, a.AsSlice()) }

// setSequence makes the message whole: the kernel names it by its sequence in what it answers.
func (m message) setSequence(sequence uint32) {
	nativeEndian.PutUint32(m, uint32(len(m)))
	nativeEndian.PutUint32(m[8:], sequence)
}

// requestAck asks for an answer in any case; without it the kernel answers only what it does not do.
func (m message) requestAck() {
	nativeEndian.PutUint16(m[6:], nativeEndian.Uint16(m[6:])|unix.NLM_F_ACK)
}

// typeMask leaves the flags of an attribute's type away.
const typeMask = nl.NLA_TYPE_MASK

// attrs are those of a message behind what its kind has first, or of one that holds others, by their types without
// flags. What is cut off is left out.
func attrs(b []byte) iter.Seq2[uint16, attrValue] {
	return func(yield func(uint16, attrValue) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length, attrType := int(nativeEndian.Uint16(b)), nativeEndian.Uint16(b[2:])&typeMask
			if length < unix.SizeofRtAttr || length > len(b) || !yield(attrType, attrValue(b[unix.SizeofRtAttr:length])) {
				return
			}
			b = b[min((length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
		}
	}
}
