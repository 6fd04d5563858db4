package capture

import (
	"encoding/binary"
	"fmt"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// socket is a netfilter socket. What is made by it as an owner goes when it is closed, however the process ends.
type socket struct {
	fd     int
	seq    uint32
	buffer []byte
}

// receiveTimeout bounds how long the kernel may take for an answer, in seconds.
const receiveTimeout = 10

func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	s := &socket{fd: fd, buffer: make([]byte, 1<<17)}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: receiveTimeout})
	}
	if err == nil {
		// Room for the acknowledgements of a whole table.
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("prepare a netfilter socket: %w", err)
	}
	return s, nil
}

func (s *socket) close() error { return unix.Close(s.fd) }

// commit does all of the changes, or nothing and says which one the kernel refused.
func (s *socket) commit(requests []request) error {
	first := s.seq + 1
	parts := [][]byte{s.batchMarker(unix.NFNL_MSG_BATCH_BEGIN)}
	for i, m := range requests {
		flags := uint16(unix.NLM_F_REQUEST | unix.NLM_F_CREATE)
		if i == len(requests)-1 {
			flags |= unix.NLM_F_ACK
		}
		s.seq++
		parts = append(parts, m.bytes(flags|m.flags, s.seq))
	}
	parts = append(parts, s.batchMarker(unix.NFNL_MSG_BATCH_END))
	if err := s.send(slices.Concat(parts...)); err != nil {
		return err
	}
	var failed error
	last := s.seq - 1
	err := s.receive(func(kind uint16, seq uint32, body []byte) bool {
		if kind != unix.NLMSG_ERROR || seq < first {
			return false
		}
		errno := -int32(binary.NativeEndian.Uint32(body))
		if errno != 0 && failed == nil {
			failed = requestError{operation: operationAt(requests, int(seq-first)-1), first: seq == first+1, errno: unix.Errno(errno)}
		}
		return seq == last || failed != nil
	})
	if err != nil {
		return err
	}
	return failed
}

// requestError is a change that the kernel refuses.
type requestError struct {
	operation string
	first     bool // it is the first of the changes
	errno     unix.Errno
}

func (r requestError) Error() string { return r.operation + ": " + r.errno.Error() }
func (r requestError) Unwrap() error { return r.errno }

// operationAt says which of the changes it is. The kernel blames the transaction's beginning for what is wrong with the whole.
func operationAt(requests []request, i int) string {
	if i < 0 || i >= len(requests) {
		return "the transaction"
	}
	return requests[i].operation
}

func (s *socket) batchMarker(kind uint16) []byte {
	s.seq++
	return netfilter.BatchMarker(kind, s.seq)
}

func (s *socket) send(request []byte) error {
	if err := unix.Sendto(s.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send to netfilter: %w", err)
	}
	return nil
}

// dump gives the attributes of each message that the kernel has to the question.
func (s *socket) dump(query request, each func(attributes []byte)) error {
	s.seq++
	if err := s.send(query.bytes(unix.NLM_F_REQUEST|unix.NLM_F_DUMP, s.seq)); err != nil {
		return err
	}
	var failed error
	err := s.receive(func(kind uint16, seq uint32, body []byte) bool {
		switch {
		case seq != s.seq:
			return false
		case kind == unix.NLMSG_DONE:
			return true
		case kind == unix.NLMSG_ERROR:
			failed = fmt.Errorf("%s: %w", query.operation, unix.Errno(-int32(binary.NativeEndian.Uint32(body))))
			return true
		}
		each(body[4:])
		return false
	})
	if err != nil {
		return err
	}
	return failed
}

// receive hands over messages until the last one.
func (s *socket) receive(handle func(kind uint16, seq uint32, body []byte) (last bool)) error {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive from netfilter: %w", err)
		}
		for m := range netfilter.Messages(s.buffer[:n]) {
			if handle(binary.NativeEndian.Uint16(m[4:]), binary.NativeEndian.Uint32(m[8:]), m[unix.SizeofNlMsghdr:]) {
				return nil
			}
		}
	}
}
