package xtables

import (
	"encoding/binary"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// conversation is a socket on which nftables is asked for one list after the other.
type conversation struct {
	fd   int
	room []byte // for what is received; what has been is kept by who asked
}

// answerRoom is more than the kernel sends at a time.
const answerRoom = 1 << 15

func converse() (*conversation, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	return &conversation{fd: fd}, err
}

func (c *conversation) close() { unix.Close(c.fd) }

// list sends a request for a dump and gives each answer: its family, and its attributes. Its error is EINTR when somebody
// changed meanwhile what is listed.
func (c *conversation) list(request []byte, each func(family uint8, attributes []byte)) error {
	if err := unix.Sendto(c.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	torn := false
	for {
		if len(c.room) < answerRoom {
			c.room = make([]byte, 2*answerRoom)
		}
		n, _, err := unix.Recvfrom(c.fd, c.room, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for m := range nfnetlink.Messages(c.room[:n]) {
			torn = torn || binary.NativeEndian.Uint16(m[6:])&unix.NLM_F_DUMP_INTR != 0
			body := m[unix.SizeofNlMsghdr:]
			switch binary.NativeEndian.Uint16(m[4:]) {
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				errno := -int32(binary.NativeEndian.Uint32(body))
				switch {
				case errno != 0:
					return unix.Errno(errno)
				case torn:
					return unix.EINTR
				}
				return nil
			}
			each(body[0], body[4:])
		}
		c.room = c.room[n:]
	}
}
