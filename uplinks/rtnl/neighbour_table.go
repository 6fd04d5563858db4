package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"replypath/uplinks"
	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// NeighbourTable reads single entries of the neighbour table of one network namespace. Safe for concurrent use. It has a socket and
// a small buffer of its own: a probe of a gateway reads an entry, and the library reserves 64 KiB of stack for each reply.
type NeighbourTable struct {
	mu     sync.Mutex
	fd     int
	seq    uint32
	buffer [neighbourReplySize]byte
}

// neighbourReplySize is more than the kernel sends in reply to a request for one entry.
const neighbourReplySize = 4096

// OpenNeighbourTable opens the table of the network namespace of the calling thread.
func OpenNeighbourTable() (*NeighbourTable, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &nl.SocketTimeoutTv)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make the netlink socket strict (Linux 4.20 or later): %w", err)
	}
	return &NeighbourTable{fd: fd}, nil
}

// Close closes the socket.
func (t *NeighbourTable) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd >= 0 {
		unix.Close(t.fd)
		t.fd = -1
	}
}

// Neighbour returns the entry for the address on the link with that index; found is false when there is none.
func (t *NeighbourTable) Neighbour(link int, a netip.Addr) (n egress.Neighbour, found bool, err error) {
	err = t.execute(unix.RTM_GETNEIGH, 0, neighbourRequest{link: link, addr: a}, func(reply []byte) { n, found = parseNeighbour(reply) })
	if errors.Is(err, unix.ENOENT) {
		return n, false, nil
	}
	if err != nil {
		return n, false, fmt.Errorf("look up the neighbour %s on link %d: %w", a, link, err)
	}
	return n, found, nil
}

// Resolve makes the kernel resolve the address, as for a packet of its own (NTF_USE). It must have no entry, or none that is
// valid: a permanent entry would become an ordinary one.
func (t *NeighbourTable) Resolve(link int, a netip.Addr) error {
	request := neighbourRequest{link: link, addr: a, flags: unix.NTF_USE}
	err := t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, request, nil)
	if errors.Is(err, unix.EEXIST) {
		err = t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_ACK, request, nil)
	}
	if errors.Is(err, unix.ENOBUFS) {
		err = NeighbourTableFull{uplinks.FamilyOf(a)}
	}
	if err != nil {
		return fmt.Errorf("resolve the neighbour %s on link %d: %w", a, link, err)
	}
	return nil
}

// NeighbourTableFull is the error that the kernel's neighbour table of a family has as many entries as it may.
type NeighbourTableFull struct{ Family uplinks.Family }

// Error returns what is full, and the sysctl that limits it.
func (e NeighbourTableFull) Error() string {
	return fmt.Sprintf("the neighbour table of %s is full (%s)", e.Family, uplinks.NeighbourLimit(e.Family))
}

// execute sends a request and calls handle with its reply, if it has one other than an acknowledgement: the struct ndmsg and its
// attributes, which are valid during the call.
func (t *NeighbourTable) execute(kind uint16, flags uint16, r neighbourRequest, handle func(reply []byte)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	// Without an address the message is for the kernel.
	if _, err := unix.Write(t.fd, r.message(t.buffer[:0], kind, flags|unix.NLM_F_REQUEST, t.seq)); err != nil {
		return os.NewSyscallError("write", err)
	}
	for {
		n, err := unix.Read(t.fd, t.buffer[:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		case n < unix.SizeofNlMsghdr+4 || nativeEndian.Uint32(t.buffer[8:]) != t.seq: // of a request whose reply was late
			continue
		}
		body := t.buffer[unix.SizeofNlMsghdr:n]
		if nativeEndian.Uint16(t.buffer[4:]) != unix.NLMSG_ERROR {
			if handle != nil {
				handle(body)
			}
			return nil
		}
		if errno := unix.Errno(-int32(nativeEndian.Uint32(body))); errno != 0 {
			return errno
		}
		return nil
	}
}

// neighbourRequest is a struct ndmsg and the address (rtnetlink(7)).
type neighbourRequest struct {
	link  int
	addr  netip.Addr
	flags uint8
}

// message appends the encoded request to an empty buffer.
func (r neighbourRequest) message(buffer []byte, kind, flags uint16, seq uint32) []byte {
	const headers = unix.SizeofNlMsghdr + unix.SizeofNdMsg + unix.SizeofRtAttr
	full := r.addr.As16()
	addr := full[:]
	if r.addr.Is4() {
		addr = full[12:]
	}
	b := append(buffer, make([]byte, headers)...)
	nativeEndian.PutUint32(b, uint32(headers+len(addr)))
	nativeEndian.PutUint16(b[4:], kind)
	nativeEndian.PutUint16(b[6:], flags)
	nativeEndian.PutUint32(b[8:], seq)
	body := b[unix.SizeofNlMsghdr:]
	body[0] = unix.AF_INET
	if r.addr.Is6() {
		body[0] = unix.AF_INET6
	}
	nativeEndian.PutUint32(body[4:], uint32(r.link))
	body[10] = r.flags
	nativeEndian.PutUint16(body[unix.SizeofNdMsg:], uint16(unix.SizeofRtAttr+len(addr)))
	nativeEndian.PutUint16(body[unix.SizeofNdMsg+2:], unix.NDA_DST)
	return append(b, addr...)
}
