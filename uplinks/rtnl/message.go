package rtnl

import (
	"encoding/binary"
	"net/netip"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

var nativeEndian = binary.NativeEndian

// message is a request to the kernel (netlink(7)): a struct nlmsghdr, the fixed header of its type, and attributes.
type message []byte

// newMessage returns a request with a zeroed fixed header of the size, in bytes.
func newMessage(messageType, flags uint16, headerSize int) message {
	return startMessage(make(message, 0, 160), messageType, flags, headerSize)
}

// startMessage returns the same in the memory of m, which is empty.
func startMessage(m message, messageType, flags uint16, headerSize int) message {
	m = append(m, make([]byte, unix.SizeofNlMsghdr+headerSize)...)
	nativeEndian.PutUint16(m[4:], messageType)
	nativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	return m
}

// isNewRoute reports whether the message adds or replaces a route.
func (m message) isNewRoute() bool { return nativeEndian.Uint16(m[4:]) == unix.RTM_NEWROUTE }

// header returns the fixed header, to be filled in.
func (m message) header() []byte { return m[unix.SizeofNlMsghdr:] }

func (m *message) addAttr(attrType uint16, value []byte) { *m = nlattr.Append(*m, attrType, value) }

func (m *message) addUint32(attrType uint16, n uint32) {
	var b [4]byte
	nativeEndian.PutUint32(b[:], n)
	m.addAttr(attrType, b[:])
}

func (m *message) addAddr(attrType uint16, a netip.Addr) { m.addAttr(attrType, a.AsSlice()) }

// setSequence completes the message: it sets its length and the number by which the kernel refers to it in its answer.
func (m message) setSequence(sequence uint32) {
	nativeEndian.PutUint32(m, uint32(len(m)))
	nativeEndian.PutUint32(m[8:], sequence)
}

// requestAck makes the kernel acknowledge the message. Without it the kernel answers only with an error.
func (m message) requestAck() {
	nativeEndian.PutUint16(m[6:], nativeEndian.Uint16(m[6:])|unix.NLM_F_ACK)
}
