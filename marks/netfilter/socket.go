package netfilter

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// maxDumpAttempts bounds how often a dump is repeated because its objects changed meanwhile.
const maxDumpAttempts = 20

// maxReplySize is more than the kernel sends in one datagram of a dump.
const maxReplySize = 1 << 15

// dumpSocket receives dumps of nftables, one after the other. Close it after use.
type dumpSocket struct {
	fd     int
	buffer []byte // unused rest of the receive buffer; attributes of earlier dumps refer to the used part
	// transient makes the attributes valid only while they are visited: they are received in reused.
	transient bool
	reused    Buffer
}

func openDumpSocket() (*dumpSocket, error) {
	fd, err := openSocket()
	return &dumpSocket{fd: fd}, err
}

func openSocket() (fd int, err error) {
	return unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
}

func (s *dumpSocket) close() {
	unix.Close(s.fd)
	s.reused.Release()
}

// dumpComplete dumps as dump does, again as long as the objects change during the dump. reset runs before each attempt.
// It returns EINTR when they changed each time.
func (s *dumpSocket) dumpComplete(request []byte, reset func(), visit func(family uint8, attributes []byte)) (err error) {
	for range maxDumpAttempts {
		reset()
		if err = s.dump(request, visit); err != unix.EINTR {
			return err
		}
	}
	return err
}

// dump sends a request with NLM_F_DUMP and calls visit with each object: its family and its attributes, which stay
// valid unless the socket is transient. It returns EINTR when the objects changed during the dump.
func (s *dumpSocket) dump(request []byte, visit func(family uint8, attributes []byte)) error {
	if err := unix.Sendto(s.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	interrupted := false
	for {
		buffer := s.receiveBuffer()
		n, _, err := unix.Recvfrom(s.fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for m := range Messages(buffer[:n]) {
			interrupted = interrupted || binary.NativeEndian.Uint16(m[6:])&unix.NLM_F_DUMP_INTR != 0
			body := m[unix.SizeofNlMsghdr:]
			switch binary.NativeEndian.Uint16(m[4:]) {
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				errno := -int32(binary.NativeEndian.Uint32(body))
				switch {
				case errno != 0:
					return unix.Errno(errno)
				case interrupted:
					return unix.EINTR
				}
				return nil
			}
			visit(body[0], body[4:])
		}
		if !s.transient {
			s.buffer = s.buffer[n:]
		}
	}
}

// receiveBuffer returns memory for one datagram.
func (s *dumpSocket) receiveBuffer() []byte {
	if s.transient {
		return s.reused.Bytes()
	}
	if len(s.buffer) < maxReplySize {
		s.buffer = make([]byte, 2*maxReplySize)
	}
	return s.buffer
}

// requestSeq is the sequence number of the message in a request that the kernel replies to.
const requestSeq = 1

// requestReply sends a request and returns the attributes of its reply, or nil when the kernel only acknowledges it.
func requestReply(request []byte) ([]byte, error) {
	fd, err := openSocket()
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buffer := make([]byte, 1<<12) // replies other than dumps are short
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		for m := range Messages(buffer[:n]) {
			if binary.NativeEndian.Uint32(m[8:]) != requestSeq {
				continue
			}
			body := m[unix.SizeofNlMsghdr:]
			if binary.NativeEndian.Uint16(m[4:]) != unix.NLMSG_ERROR {
				return body[min(4, len(body)):], nil
			}
			if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
				return nil, unix.Errno(errno)
			}
			return nil, nil
		}
	}
}

// transaction sends one change enclosed in the two batch markers and waits for its acknowledgement.
func transaction(change []byte) error {
	_, err := requestReply(slices.Concat(BatchMarker(unix.NFNL_MSG_BATCH_BEGIN, 0), change, BatchMarker(unix.NFNL_MSG_BATCH_END, 0)))
	return err
}

// request encodes a request with the sequence number that requestReply waits for.
func request(kind, flags uint16, family uint8, attributes ...[]byte) []byte {
	return Message(kind, unix.NLM_F_REQUEST|flags, requestSeq, family, attributes...)
}
