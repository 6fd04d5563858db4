package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// NeighbourTable reads single entries of the neighbour table of one network namespace. Safe for concurrent use.
type NeighbourTable struct {
	mu     sync.Mutex
	socket *nl.SocketHandle
}

// OpenNeighbourTable opens the table of the network namespace of the calling thread.
func OpenNeighbourTable() (*NeighbourTable, error) {
	s, err := openReader()
	return &NeighbourTable{socket: s}, err
}

// Close closes the socket.
func (t *NeighbourTable) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.socket.Close()
}

// Neighbour returns the entry for the address on the link with that index; found is false when there is none.
func (t *NeighbourTable) Neighbour(link int, a netip.Addr) (n egress.Neighbour, found bool, err error) {
	reply, err := t.execute(unix.RTM_GETNEIGH, 0, neighbourRequest{link: link, addr: a})
	if errors.Is(err, unix.ENOENT) {
		return n, false, nil
	}
	if err != nil {
		return n, false, fmt.Errorf("look up the neighbour %s on link %d: %w", a, link, err)
	}
	for _, m := range reply {
		if n, found = parseNeighbour(m); found {
			return n, true, nil
		}
	}
	return n, false, nil
}

// Resolve makes the kernel resolve the address, as for a packet of its own (NTF_USE). It must have no entry, or none that is
// valid: a permanent entry would become an ordinary one.
func (t *NeighbourTable) Resolve(link int, a netip.Addr) error {
	request := neighbourRequest{link: link, addr: a, flags: unix.NTF_USE}
	_, err := t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, request)
	if errors.Is(err, unix.EEXIST) {
		_, err = t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_ACK, request)
	}
	if err != nil {
		return fmt.Errorf("resolve the neighbour %s on link %d: %w", a, link, err)
	}
	return nil
}

// execute sends a request and returns its replies.
func (t *NeighbourTable) execute(kind, flags int, r neighbourRequest) (replies [][]byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: t.socket}
	req.AddData(r)
	req.AddData(nl.NewRtAttr(unix.NDA_DST, r.addr.AsSlice()))
	return req.Execute(unix.NETLINK_ROUTE, 0)
}

// neighbourRequest is a struct ndmsg.
type neighbourRequest struct {
	link  int
	addr  netip.Addr
	flags uint8
}

// Len returns the size in bytes.
func (neighbourRequest) Len() int { return unix.SizeofNdMsg }

// Serialize encodes the request.
func (r neighbourRequest) Serialize() []byte {
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = unix.AF_INET
	if r.addr.Is6() {
		b[0] = unix.AF_INET6
	}
	nativeEndian.PutUint32(b[4:], uint32(r.link))
	b[10] = r.flags
	return b
}
