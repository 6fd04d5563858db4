package nftnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// Socket is a netlink socket to nftables. Tables that it owns are deleted when it is closed, unless they persist. Not
// safe for concurrent use.
type Socket struct {
	fd     int
	seq    uint32
	buffer netfilter.Buffer
}

const (
	receiveTimeout = 10      // the wait for a message of the kernel, in seconds
	receiveBuffer  = 1 << 20 // room for an error message for each request of a transaction
	sendBuffer     = 8 << 20 // room for a transaction, which is one datagram
)

// Open opens a socket in the network namespace of the calling thread.
func Open() (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	s := &Socket{fd: fd}
	if err := s.configure(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("configure a netfilter socket: %w", err)
	}
	return s, nil
}

func (s *Socket) configure() error {
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: receiveTimeout}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1); err != nil {
		return err
	}
	if err := s.setBuffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer); err != nil {
		return err
	}
	return s.setBuffer(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer)
}

// setBuffer sets the size of a buffer, in a user namespace up to the limit of the sysctls rmem_max and wmem_max.
func (s *Socket) setBuffer(forced, limited, size int) error {
	err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, forced, size)
	if err == unix.EPERM {
		err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, limited, size)
	}
	return err
}

// Close closes the socket.
func (s *Socket) Close() error {
	s.buffer.Release()
	return unix.Close(s.fd)
}

// ErrChanged is returned by CommitAt when another transaction came first.
var ErrChanged = errors.New("nftables has changed meanwhile")

// Commit executes the requests in one transaction. When the kernel refuses one, none is executed, and the error is a
// RequestError.
func (s *Socket) Commit(requests []Request) error { return s.CommitAt(0, requests) }

// CommitAt executes the requests as Commit does if nftables still has this generation; 0: in any case.
func (s *Socket) CommitAt(generation uint32, requests []Request) error {
	first := s.seq + 1
	s.seq++
	begin := netfilter.BatchMarker(unix.NFNL_MSG_BATCH_BEGIN, s.seq)
	if generation != 0 {
		begin = extend(begin, Uint32Attribute(unix.NFNL_BATCH_GENID, generation))
	}
	parts := make([][]byte, 0, len(requests)+2)
	parts = append(parts, begin)
	for i, r := range requests {
		flags := r.flags | unix.NLM_F_REQUEST
		if i == len(requests)-1 {
			flags |= unix.NLM_F_ACK
		}
		s.seq++
		parts = append(parts, r.bytes(flags, s.seq))
	}
	s.seq++
	parts = append(parts, netfilter.BatchMarker(unix.NFNL_MSG_BATCH_END, s.seq))
	if err := s.send(slices.Concat(parts...)); err != nil {
		return err
	}
	return s.awaitAcknowledgement(first, requests)
}

// extend returns a message with a further attribute.
func extend(message, attribute []byte) []byte {
	all := slices.Concat(message, attribute)
	binary.NativeEndian.PutUint32(all, uint32(len(all)))
	return all
}

// awaitAcknowledgement receives the answers to a transaction whose first message has the number.
func (s *Socket) awaitAcknowledgement(first uint32, requests []Request) (failed error) {
	last := first + uint32(len(requests))
	err := s.receive(func(kind uint16, seq uint32, body []byte) bool {
		if kind != unix.NLMSG_ERROR || seq < first {
			return false
		}
		errno := -int32(binary.NativeEndian.Uint32(body))
		switch {
		case errno == 0 || failed != nil:
		case unix.Errno(errno) == errRestart:
			failed = ErrChanged
		default:
			failed = RequestError{Operation: operationAt(requests, int(seq-first)-1), First: seq == first+1, Errno: unix.Errno(errno)}
		}
		return seq == last || failed != nil
	})
	if err != nil {
		return err
	}
	return failed
}

// errRestart is ERESTART (linux/errno.h): the generation is another one.
const errRestart = unix.Errno(85)

// RequestError is the error of a request that the kernel refused.
type RequestError struct {
	Operation string
	First     bool // it is the first one of the transaction
	Errno     unix.Errno
}

func (r RequestError) Error() string { return r.Operation + ": " + r.Errno.Error() }

// Unwrap returns the error of the kernel.
func (r RequestError) Unwrap() error { return r.Errno }

// operationAt returns the operation of the i-th request. For an error of the transaction as a whole the kernel reports the
// number of the message that begins it.
func operationAt(requests []Request, i int) string {
	if i < 0 || i >= len(requests) {
		return "the transaction"
	}
	return requests[i].Operation
}

// Try executes the requests in a transaction that it lets fail, so that nothing changes. It returns the requests that the
// kernel refuses, with its errors.
func (s *Socket) Try(requests []Request) (refused []RequestError, err error) {
	// The flush of a chain of no table is always refused.
	all := append(slices.Clone(requests), Table("replypath-none").FlushChain("none"))
	first := s.seq + 2
	s.seq++
	parts := [][]byte{netfilter.BatchMarker(unix.NFNL_MSG_BATCH_BEGIN, s.seq)}
	for _, r := range all {
		s.seq++
		parts = append(parts, r.bytes(r.flags|unix.NLM_F_REQUEST, s.seq))
	}
	last := s.seq
	s.seq++
	parts = append(parts, netfilter.BatchMarker(unix.NFNL_MSG_BATCH_END, s.seq))
	if err := s.send(slices.Concat(parts...)); err != nil {
		return nil, err
	}
	err = s.receive(func(kind uint16, seq uint32, body []byte) bool {
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		if kind == unix.NLMSG_ERROR && seq < last && seq >= first-1 && errno != 0 {
			refused = append(refused, RequestError{Operation: operationAt(requests, int(seq-first)), Errno: errno})
		}
		return seq == last || kind == unix.NLMSG_ERROR && seq == first-1
	})
	return refused, err
}

func (s *Socket) send(request []byte) error {
	err := unix.Sendto(s.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == unix.EMSGSIZE {
		return fmt.Errorf("send %d bytes to netfilter: %w: raise the sysctl net.core.wmem_max", len(request), err)
	}
	if err != nil {
		return fmt.Errorf("send to netfilter: %w", err)
	}
	return nil
}

// Dump sends a request for a list and calls each with the attributes of each object. They are valid during the call.
// Objects that change meanwhile may be missing.
func (s *Socket) Dump(query Request, each func(attributes []byte)) error {
	return s.query(query, unix.NLM_F_DUMP, each)
}

// Get sends a request for one object and calls each with its attributes.
func (s *Socket) Get(query Request, each func(attributes []byte)) error {
	return s.query(query, unix.NLM_F_ACK, each)
}

func (s *Socket) query(query Request, flags uint16, each func(attributes []byte)) error {
	s.seq++
	if err := s.send(query.bytes(unix.NLM_F_REQUEST|flags, s.seq)); err != nil {
		return err
	}
	var failed error
	err := s.receive(func(kind uint16, seq uint32, body []byte) bool {
		switch {
		case seq != s.seq:
			return false
		case kind == unix.NLMSG_DONE, kind == unix.NLMSG_ERROR:
			if errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body))); errno != 0 {
				failed = fmt.Errorf("%s: %w", query.Operation, errno)
			}
			return true
		}
		each(body[4:])
		return false
	})
	return errors.Join(err, failed)
}

// receive calls handle with each message until that reports the last one.
func (s *Socket) receive(handle func(kind uint16, seq uint32, body []byte) (last bool)) error {
	buffer := s.buffer.Bytes()
	for {
		n, _, err := unix.Recvfrom(s.fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive from netfilter: %w", err)
		}
		for m := range netfilter.Messages(buffer[:n]) {
			if handle(binary.NativeEndian.Uint16(m[4:]), binary.NativeEndian.Uint32(m[8:]), m[unix.SizeofNlMsghdr:]) {
				return nil
			}
		}
	}
}
