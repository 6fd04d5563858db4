package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"replypath/uplinks"
	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// NeighbourTable reads entries of the neighbour table of one network namespace. Safe for concurrent use. It has a socket and
// a small buffer of its own: a probe of a gateway reads an entry, and the library reserves 64 KiB of stack for each reply.
type NeighbourTable struct {
	mu     sync.Mutex
	fd     int
	seq    uint32
	buffer [neighbourReplySize]byte
}

// neighbourReplySize is more than the kernel sends in reply to a request for one entry, and than maxNeighbourRequests take.
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

// maxNeighbourRequests is the number of requests that are sent together: the socket has room for their replies.
const maxNeighbourRequests = 64

// Neighbour returns the entry for the address on the link with that index; found is false when there is none.
func (t *NeighbourTable) Neighbour(link int, a netip.Addr) (n egress.Neighbour, found bool, err error) {
	one := t.Neighbours([]egress.LinkAddr{{Link: link, Addr: a}})[0]
	return one.Neighbour, one.Found, one.Err
}

// Neighbours returns the entries for the addresses, in their order. It makes one system call that may wait for up to
// maxNeighbourRequests of them.
func (t *NeighbourTable) Neighbours(of []egress.LinkAddr) []egress.NeighbourLookup {
	all := make([]egress.NeighbourLookup, len(of))
	for first := 0; first < len(of); first += maxNeighbourRequests {
		end := min(first+maxNeighbourRequests, len(of))
		if err := t.lookUp(of[first:end], all[first:end]); err != nil {
			for i := range all[first:end] {
				all[first+i] = egress.NeighbourLookup{Err: err}
			}
		}
		for i, a := range of[first:end] {
			if err := all[first+i].Err; err != nil {
				all[first+i].Err = fmt.Errorf("look up the neighbour %s on link %d: %w", a.Addr, a.Link, err)
			}
		}
	}
	return all
}

// lookUp sends a request for each entry in one message, and receives the replies.
func (t *NeighbourTable) lookUp(of []egress.LinkAddr, all []egress.NeighbourLookup) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, requests := t.seq+1, t.buffer[:0]
	for _, a := range of {
		t.seq++
		requests = neighbourRequest{link: a.Link, addr: a.Addr}.message(requests, unix.RTM_GETNEIGH, unix.NLM_F_REQUEST, t.seq)
	}
	// Without an address the message is for the kernel.
	if _, err := unix.Write(t.fd, requests); err != nil {
		return os.NewSyscallError("write", err)
	}
	for range of {
		seq, kind, body, err := t.receive(first)
		if err != nil {
			return err
		}
		all[seq-first] = parseLookup(kind, body)
	}
	return nil
}

// parseLookup reads the reply to a request for an entry.
func parseLookup(kind uint16, body []byte) (l egress.NeighbourLookup) {
	if kind != unix.NLMSG_ERROR {
		l.Neighbour, l.Found = parseNeighbour(body)
		return l
	}
	if errno := unix.Errno(-int32(nativeEndian.Uint32(body))); errno != unix.ENOENT {
		l.Err = errno
	}
	return l
}

// Resolve makes the kernel resolve the address, as for a packet of its own (NTF_USE). It must have no entry, or none that is
// valid: a permanent entry would become an ordinary one.
func (t *NeighbourTable) Resolve(link int, a netip.Addr) error {
	request := neighbourRequest{link: link, addr: a, flags: unix.NTF_USE}
	err := t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, request)
	if errors.Is(err, unix.EEXIST) {
		err = t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_ACK, request)
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

// execute sends a request, and returns the error of its acknowledgement.
func (t *NeighbourTable) execute(kind uint16, flags uint16, r neighbourRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	if _, err := unix.Write(t.fd, r.message(t.buffer[:0], kind, flags|unix.NLM_F_REQUEST, t.seq)); err != nil {
		return os.NewSyscallError("write", err)
	}
	_, kind, body, err := t.receive(t.seq)
	if err != nil || kind != unix.NLMSG_ERROR {
		return err
	}
	if errno := unix.Errno(-int32(nativeEndian.Uint32(body))); errno != 0 {
		return errno
	}
	return nil
}

// receive returns the next reply to one of the requests since first, up to the last one: its number, and the struct ndmsg with its
// attributes, or the error, which are valid until the next call.
func (t *NeighbourTable) receive(first uint32) (seq uint32, kind uint16, body []byte, err error) {
	for {
		n, err := t.read()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, 0, nil, os.NewSyscallError("read", err)
		case n < unix.SizeofNlMsghdr+4:
			continue
		}
		if seq = nativeEndian.Uint32(t.buffer[8:]); seq-first <= t.seq-first { // else of a request whose reply was late
			return seq, nativeEndian.Uint16(t.buffer[4:]), t.buffer[unix.SizeofNlMsghdr:n], nil
		}
	}
}

// read reads a reply. The kernel has sent it when the request was written; a raw system call does not wake up the monitor of the runtime.
func (t *NeighbourTable) read() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(t.fd), uintptr(unsafe.Pointer(&t.buffer)), unsafe.Sizeof(t.buffer), unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN:
		return unix.Read(t.fd, t.buffer[:])
	}
	return 0, errno
}

// neighbourRequest is a struct ndmsg and the address (rtnetlink(7)).
type neighbourRequest struct {
	link  int
	addr  netip.Addr
	flags uint8
}

// message appends the encoded request.
func (r neighbourRequest) message(buffer []byte, kind, flags uint16, seq uint32) []byte {
	const headers = unix.SizeofNlMsghdr + unix.SizeofNdMsg + unix.SizeofRtAttr
	full := r.addr.As16()
	addr := full[:]
	if r.addr.Is4() {
		addr = full[12:]
	}
	all := append(append(buffer, make([]byte, headers)...), addr...)
	b := all[len(buffer):]
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
	return all
}
