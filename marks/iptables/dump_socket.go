package iptables

import (
	"encoding/binary"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// dumpSocket is a socket on which nftables is asked for one list after the other.
type dumpSocket struct {
	fd     int
	buffer []byte // for what is received; what has been is kept by who asked
}

// maxReplySize is more than the kernel sends at a time.
const maxReplySize = 1 << 15

func openDumpSocket() (*dumpSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	return &dumpSocket{fd: fd}, err
}

func (c *dumpSocket) close() { unix.Close(c.fd) }

// dump sends a request for a dump and gives each answer: its family, and its attributes. Its error is EINTR when somebody
// changed meanwhile what is listed.
func (c *dumpSocket) dump(request []byte, visit func(family uint8, attributes []byte)) error {
	if err := unix.Sendto(c.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	interrupted := false
	for {
		if len(c.buffer) < maxReplySize {
			c.buffer = make([]byte, 2*maxReplySize)
		}
		n, _, err := unix.Recvfrom(c.fd, c.buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for m := range nfnetlink.Messages(c.buffer[:n]) {
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
		c.buffer = c.buffer[n:]
	}
}
