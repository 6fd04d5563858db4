package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// TCPSocketOwner returns the user ID of the owner of the connected TCP socket with these addresses, in the network namespace of
// the calling thread. found is false when no socket of this host has them, as that of a remote peer.
func TCPSocketOwner(local, remote netip.AddrPort) (uid uint32, found bool, err error) {
	local, remote = unmapped(local), unmapped(remote)
	if local.Addr().Is4() != remote.Addr().Is4() {
		return 0, false, fmt.Errorf("find the owner of the TCP socket %s to %s: not of one family", local, remote)
	}
	req := nl.NewNetlinkRequest(sockDiagByFamily, 0)
	req.AddData(tcpSocketRequest{local, remote})
	msgs, err := req.Execute(unix.NETLINK_SOCK_DIAG, sockDiagByFamily)
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("find the owner of the TCP socket %s to %s: %w", local, remote, err)
	}
	const size = 72 // struct inet_diag_msg
	// Without such a connection the kernel may return a listener of the port.
	if len(msgs) != 1 || len(msgs[0]) < size || binary.BigEndian.Uint16(msgs[0][6:]) != remote.Port() {
		return 0, false, nil
	}
	return binary.NativeEndian.Uint32(msgs[0][64:]), true, nil
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// tcpSocketRequest is a struct inet_diag_req_v2 for one connected TCP socket.
type tcpSocketRequest struct{ local, remote netip.AddrPort }

// Len returns the size in bytes.
func (tcpSocketRequest) Len() int { return 56 }

// Serialize encodes the request.
func (r tcpSocketRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = unix.AF_INET6, unix.IPPROTO_TCP
	if r.local.Addr().Is4() {
		b[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0)) // all states
	binary.BigEndian.PutUint16(b[8:], r.local.Port())
	binary.BigEndian.PutUint16(b[10:], r.remote.Port())
	copy(b[12:28], r.local.Addr().AsSlice())
	copy(b[28:44], r.remote.Addr().AsSlice())
	binary.NativeEndian.PutUint64(b[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	return b
}
