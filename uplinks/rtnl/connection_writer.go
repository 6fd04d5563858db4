package rtnl

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"replypath/marks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ConnectionWriter changes and deletes connections, many at once, such as while they are listed. The zero value is ready for use. A
// connection that is gone is no error. Not safe for concurrent use.
type ConnectionWriter struct {
	w        *writer
	messages []message // their memory is used again
	failed   int
	err      error // of the first one that failed
}

// SetMark sets the bits under the mask of the connection's mark, now or at the end.
func (s *ConnectionWriter) SetMark(c TrackedConnection, mark marks.Mark, mask marks.Mask) {
	s.add(func(m message) message {
		m = c.appendMessage(m, nl.IPCTNL_MSG_CT_NEW)
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(mark))
		m.addAttr(nl.CTA_MARK, b[:])
		binary.BigEndian.PutUint32(b[:], uint32(mask))
		m.addAttr(ctaMarkMask, b[:])
		return m
	})
}

// Delete deletes the connection, now or at the end. Kernels before 6.4, and 6.1.31, delete none that is in a flow table (EBUSY), which is
// no error. Unlike DeleteTranslated it does not walk the table of the kernel, and does not wait for others who do.
func (s *ConnectionWriter) Delete(c TrackedConnection) {
	s.add(func(m message) message { return c.appendMessage(m, nl.IPCTNL_MSG_CT_DELETE) })
}

// add adds the message that encode appends to the memory of an earlier one.
func (s *ConnectionWriter) add(encode func(message) message) {
	if len(s.messages) == batchSize {
		s.flush()
	}
	n := len(s.messages)
	if n == cap(s.messages) {
		s.messages = append(s.messages, nil)
	}
	s.messages = s.messages[:n+1]
	s.messages[n] = encode(s.messages[n][:0])
}

// Close writes what has not been written, and returns what failed.
func (s *ConnectionWriter) Close() error {
	s.flush()
	if s.w != nil {
		s.w.close()
	}
	if s.failed > 1 {
		return fmt.Errorf("%w, and %d more", s.err, s.failed-1)
	}
	return s.err
}

// flush sends the messages.
func (s *ConnectionWriter) flush() {
	if len(s.messages) == 0 {
		return
	}
	if s.w == nil {
		w, err := openProtocolWriter(unix.NETLINK_NETFILTER)
		if err != nil {
			s.fail(len(s.messages), fmt.Errorf("open a conntrack socket: %w", err))
			s.messages = s.messages[:0]
			return
		}
		s.w = w
	}
	for _, err := range s.w.send(s.messages) {
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) {
			s.fail(1, fmt.Errorf("change a connection: %w", err))
		}
	}
	s.messages = s.messages[:0]
}

// fail records a failure of so many connections.
func (s *ConnectionWriter) fail(n int, err error) {
	s.failed, s.err = s.failed+n, cmp.Or(s.err, err)
}

// appendMessage encodes the beginning of a message about the connection.
func (c TrackedConnection) appendMessage(to message, kind uint16) message {
	m := startMessage(to, unix.NFNL_SUBSYS_CTNETLINK<<8|kind, 0, nl.SizeofNfgenmsg)
	m.header()[0] = c.Original.family()
	m.addAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, c.original)
	if c.zone != nil {
		m.addAttr(ctaZone, c.zone)
	}
	return m
}
