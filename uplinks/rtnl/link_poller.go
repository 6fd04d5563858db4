package rtnl

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// LinkPoller reads the state of single links, cheaply enough to do it many times per second: it has a socket of its own, on
// which no long dump is read, and allocates nothing per request. Not safe for concurrent use.
//
// The kernel delays the event of a lost carrier by up to a second after any other carrier event of the machine
// (net/core/link_watch.c). A query is answered at once.
type LinkPoller struct {
	socket  int
	request [linkRequestLength]byte
	answer  [16 << 10]byte
}

// A request is a header, an ifinfomsg and an attribute that omits statistics, which are most of an answer.
const (
	linkRequestLength = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg + unix.SizeofRtAttr + 4
	skipStatistics    = 1 << 3 // RTEXT_FILTER_SKIP_STATS
)

// answerTimeout bounds the wait for an answer: a holder of the kernel's RTNL lock delays all queries.
var answerTimeout = unix.Timeval{Sec: 5}

// NewLinkPoller opens the socket.
func NewLinkPoller() (*LinkPoller, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", os.NewSyscallError("socket", err))
	}
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &answerTimeout); err != nil {
		unix.Close(socket)
		return nil, fmt.Errorf("bound the wait on a netlink socket: %w", os.NewSyscallError("setsockopt", err))
	}
	p := &LinkPoller{socket: socket}
	order, b := binary.NativeEndian, p.request[:]
	order.PutUint32(b, linkRequestLength)
	order.PutUint16(b[4:], unix.RTM_GETLINK)
	order.PutUint16(b[6:], unix.NLM_F_REQUEST)
	attribute := b[unix.SizeofNlMsghdr+unix.SizeofIfInfomsg:]
	order.PutUint16(attribute, unix.SizeofRtAttr+4)
	order.PutUint16(attribute[2:], unix.IFLA_EXT_MASK)
	order.PutUint32(attribute[4:], skipStatistics)
	return p, nil
}

// Close closes the socket. It may be called again: a number that was closed may be another file's by then.
func (p *LinkPoller) Close() {
	unix.Close(p.socket)
	p.socket = -1
}

// State returns the current state of the link with the index. The error of a link that does not exist is ENODEV.
func (p *LinkPoller) State(index int) (uplinks.LinkState, error) {
	sequence := binary.NativeEndian.Uint32(p.request[8:]) + 1
	binary.NativeEndian.PutUint32(p.request[8:], sequence)
	binary.NativeEndian.PutUint32(p.request[unix.SizeofNlMsghdr+4:], uint32(index))
	if err := unix.Sendto(p.socket, p.request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return uplinks.LinkState{}, fmt.Errorf("look at link %d: %w", index, os.NewSyscallError("sendto", err))
	}
	for {
		n, _, err := unix.Recvfrom(p.socket, p.answer[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return uplinks.LinkState{}, fmt.Errorf("look at link %d: %w", index, os.NewSyscallError("recvfrom", err))
		}
		if state, ok, err := parseLinkReply(p.answer[:n], sequence); ok {
			return state, err
		}
	}
}

// parseLinkReply decodes the answer to the request with the sequence number. ok is false for a late answer to an earlier
// request.
func parseLinkReply(b []byte, sequence uint32) (state uplinks.LinkState, ok bool, err error) {
	order := binary.NativeEndian
	if len(b) < unix.SizeofNlMsghdr+4 || order.Uint32(b[8:]) != sequence {
		return state, false, nil
	}
	data := b[unix.SizeofNlMsghdr:min(len(b), int(order.Uint32(b)))]
	switch order.Uint16(b[4:]) {
	case unix.NLMSG_ERROR:
		return state, true, os.NewSyscallError("RTM_GETLINK", syscall.Errno(-int32(order.Uint32(data))))
	case unix.RTM_NEWLINK:
		return parseLink(data), true, nil
	}
	return state, false, nil
}
