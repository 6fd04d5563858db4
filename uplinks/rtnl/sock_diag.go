package rtnl

import (
	"context"
	"encoding/binary"
	"net/netip"

	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Constants of sock_diag(7): SOCK_DIAG_BY_FAMILY (linux/sock_diag.h) and INET_DIAG_SKV6ONLY, an attribute of its answers
// (linux/inet_diag.h).
const (
	sockDiagByFamily = 20
	inetDiagSKV6Only = 11
	inetDiagSockopt  = 22 // struct inet_diag_sockopt, from Linux 5.7 on
	transparentBit   = 1 << 5
)

// States of sockets, as bits (net/tcp_states.h).
const (
	tcpEstablished = 1 << 1
	tcpClose       = 1 << 7 // not connected
	tcpListen      = 1 << 10
	// tcpConnected has all states of a TCP connection: SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK and CLOSING, too.
	tcpConnected = tcpEstablished | 1<<2 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11
)

// Socket is a socket that accepts connections or datagrams from any peer, or from Peer alone.
type Socket struct {
	uplinks.Listener
	// Opaque reports that the socket is known to lack IP_TRANSPARENT: the kernel gives it no packet for another host.
	Opaque bool
	Peer   netip.AddrPort // of a connected socket
	UID    uint32         // the user ID of its owner
	Inode  uint32         // identifies it in /proc/PID/fd
}

// ServerSockets returns the sockets of the protocol (IPPROTO_*) that accept connections or datagrams from any peer, in the
// network namespace of the calling thread.
func ServerSockets(ctx context.Context, proto uint8) ([]Socket, error) {
	return ServerSocketsAt(ctx, proto, 0)
}

// ServerSocketsAt returns those of ServerSockets with the port; 0: with any.
func ServerSocketsAt(ctx context.Context, proto uint8, port uint16) ([]Socket, error) {
	states := uint32(tcpClose)
	if proto == unix.IPPROTO_TCP {
		states = tcpListen
	}
	return listSockets(ctx, "listening sockets", inetDiagRequest{proto: proto, states: states, port: port})
}

// ConnectedUDPSockets returns the UDP sockets that receive datagrams from one peer only, in the network namespace of the calling
// thread.
func ConnectedUDPSockets(ctx context.Context) ([]Socket, error) {
	return listSockets(ctx, "connected UDP sockets", inetDiagRequest{proto: unix.IPPROTO_UDP, states: tcpEstablished})
}

// ConnectedTCPAddrs returns the local addresses of TCP connections, in the network namespace of the calling thread.
func ConnectedTCPAddrs(ctx context.Context) (map[netip.Addr]bool, error) {
	sockets, err := listSockets(ctx, "TCP connections", inetDiagRequest{proto: unix.IPPROTO_TCP, states: tcpConnected})
	addrs := map[netip.Addr]bool{}
	for _, s := range sockets {
		addrs[s.Addr.Unmap()] = true
	}
	return addrs, err
}

// listSockets returns the sockets that the request selects, in both families. The subject is for errors.
func listSockets(ctx context.Context, subject string, r inetDiagRequest) (all []Socket, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		r.family = family
		msgs, err := dumpSockets(ctx, subject, r)
		if err != nil {
			return all, err
		}
		for _, m := range msgs {
			if s, ok := parseSocket(m, family); ok {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// dumpSockets returns the answer to a sock_diag(7) request, one message for each socket. The subject is for errors.
func dumpSockets(ctx context.Context, subject string, request nl.NetlinkRequestData) (msgs [][]byte, err error) {
	err = dump(ctx, subject, func() (err error) {
		req := nl.NewNetlinkRequest(sockDiagByFamily, unix.NLM_F_DUMP)
		req.AddData(request)
		msgs, err = req.Execute(unix.NETLINK_SOCK_DIAG, sockDiagByFamily)
		return err
	})
	return msgs, err
}

// inetDiagRequest is a struct inet_diag_req_v2 for the sockets of one family and protocol in the states, with the port or with any
// (0).
type inetDiagRequest struct {
	family, proto uint8
	states        uint32
	port          uint16
}

// Len returns the size in bytes.
func (inetDiagRequest) Len() int { return 56 }

// Serialize encodes the request.
func (r inetDiagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = r.family, r.proto
	binary.NativeEndian.PutUint32(b[4:], r.states)
	binary.BigEndian.PutUint16(b[8:], r.port)
	return b
}

// parseSocket decodes a struct inet_diag_msg and its attributes.
func parseSocket(m []byte, family uint8) (s Socket, ok bool) {
	const size = 72
	if len(m) < size {
		return s, false
	}
	length := 16
	if family == unix.AF_INET {
		length = 4
	}
	s.Addr, ok = netip.AddrFromSlice(m[8:][:length])
	if peer, _ := netip.AddrFromSlice(m[24:][:length]); !peer.IsUnspecified() {
		s.Peer = netip.AddrPortFrom(peer.Unmap(), binary.BigEndian.Uint16(m[6:]))
	}
	s.Port = binary.BigEndian.Uint16(m[4:])
	s.Link = int(binary.NativeEndian.Uint32(m[40:]))
	s.UID, s.Inode = binary.NativeEndian.Uint32(m[64:]), binary.NativeEndian.Uint32(m[68:])
	s.V6Only = nlattr.Find(m[size:], inetDiagSKV6Only).Uint8() != 0
	if options := nlattr.Find(m[size:], inetDiagSockopt); len(options) > 0 {
		s.Opaque = options[0]&transparentBit == 0
	}
	return s, ok
}
