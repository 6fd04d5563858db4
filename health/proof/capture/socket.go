package capture

import (
	"encoding/binary"
	"fmt"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// socket is a netfilter netlink socket. Tables that it owns are deleted when it is closed.
type socket struct {
	fd     int
	seq    uint32
	buffer []byte
}

// receiveTimeout bounds the wait for a message of the kernel, in seconds.
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
		// Room for an error message for each request of a batch.
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("configure a netfilter socket: %w", err)
	}
	return s, nil
}

func (s *socket) close() error { return unix.Close(s.fd) }

// commit executes the requests in one transaction. When the kernel refuses one, none is executed, and the error names it.
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

// requestError is the error of a request that the kernel refused.
type requestError struct {
	operation string
	first     bool // it is the first one of the batch
	errno     unix.Errno
}

func (r requestError) Error() string { return r.operation + ": " + r.errno.Error() }
func (r requestError) Unwrap() error { return r.errno }

// operationAt returns the operation of the i-th request. For an error of the transaction as a whole the kernel reports the
// number of the batch's begin message.
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

// dump sends the query and calls each with the attributes of each message of the dump.
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

// receive calls handle with each message until that reports the last one.
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
