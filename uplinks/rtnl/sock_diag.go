package rtnl

import (
	"context"
	"encoding/binary"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// sockDiagByFamily is SOCK_DIAG_BY_FAMILY (linux/sock_diag.h), and v6Only the attribute INET_DIAG_SKV6ONLY of its answers
// (linux/inet_diag.h).
const (
	sockDiagByFamily = 20
	inetDiagSKV6Only = 11
	tcpClose         = 7  // TCP_CLOSE (net/tcp_states.h): not connected
	tcpListen        = 10 // TCP_LISTEN
)

// Socket is a socket that waits for questions.
type Socket struct {
	uplinks.Listener
	UID   uint32 // its owner
	Inode uint32 // by which its process can be found
}

// Listeners are the TCP sockets that listen, in the namespace of the calling thread.
func Listeners(ctx context.Context) ([]uplinks.Listener, error) {
	sockets, err := ServerSockets(ctx, unix.IPPROTO_TCP)
	all := make([]uplinks.Listener, 0, len(sockets))
	for _, s := range sockets {
		all = append(all, s.Listener)
	}
	return all, err
}

// ServerSockets are the sockets of a protocol that wait for questions from anybody, in the namespace of the calling thread.
func ServerSockets(ctx context.Context, proto uint8) ([]Socket, error) {
	var all []Socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		msgs, err := dumpSockets(ctx, "listening sockets", inetDiagRequest{family, proto})
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

// dumpSockets lists the sockets that are asked for (sock_diag(7)), each as its message.
func dumpSockets(ctx context.Context, subject string, request nl.NetlinkRequestData) (msgs [][]byte, err error) {
	err = dump(ctx, subject, func() (err error) {
		req := nl.NewNetlinkRequest(sockDiagByFamily, unix.NLM_F_DUMP)
		req.AddData(request)
		msgs, err = req.Execute(unix.NETLINK_SOCK_DIAG, sockDiagByFamily)
		return err
	})
	return msgs, err
}

// inetDiagRequest is a struct inet_diag_req_v2 for all sockets of the family that wait for anybody: those of TCP listen, those
// of others are not connected.
type inetDiagRequest struct{ family, proto uint8 }

func (inetDiagRequest) Len() int { return 56 }

func (r inetDiagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = r.family, r.proto
	state := tcpClose
	if r.proto == unix.IPPROTO_TCP {
		state = tcpListen
	}
	binary.NativeEndian.PutUint32(b[4:], 1<<state)
	return b
}

// parseSocket reads a struct inet_diag_msg and the attributes behind it.
func parseSocket(m []byte, family uint8) (s Socket, ok bool) {
	const size = 72
	if len(m) < size {
		return s, false
	}
	address := m[8:24]
	if family == unix.AF_INET {
		address = address[:4]
	}
	s.Addr, ok = netip.AddrFromSlice(address)
	s.Port = binary.BigEndian.Uint16(m[4:])
	s.Link = int(binary.NativeEndian.Uint32(m[40:]))
	s.UID, s.Inode = binary.NativeEndian.Uint32(m[64:]), binary.NativeEndian.Uint32(m[68:])
	attrs, err := nl.ParseRouteAttr(m[size:])
	if err != nil {
		return s, false
	}
	for _, a := range attrs {
		if a.Attr.Type == inetDiagSKV6Only && len(a.Value) > 0 {
			s.V6Only = a.Value[0] != 0
		}
	}
	return s, ok
}
