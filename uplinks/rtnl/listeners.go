package rtnl

import (
	"context"
	"encoding/binary"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// sockDiag is SOCK_DIAG_BY_FAMILY (linux/sock_diag.h), and v6Only the attribute INET_DIAG_SKV6ONLY of its answers
// (linux/inet_diag.h).
const (
	sockDiag  = 20
	v6Only    = 11
	tcpClose  = 7  // TCP_CLOSE (net/tcp_states.h): not connected
	tcpListen = 10 // TCP_LISTEN
)

// Socket is a socket that waits for questions.
type Socket struct {
	uplinks.Listener
	UID   uint32 // its owner
	Inode uint32 // by which its process can be found
}

// Listeners are the TCP sockets that listen, in the namespace of the calling thread.
func Listeners(ctx context.Context) ([]uplinks.Listener, error) {
	sockets, err := Sockets(ctx, unix.IPPROTO_TCP)
	all := make([]uplinks.Listener, 0, len(sockets))
	for _, s := range sockets {
		all = append(all, s.Listener)
	}
	return all, err
}

// Sockets are the sockets of a protocol that wait for questions from anybody, in the namespace of the calling thread.
func Sockets(ctx context.Context, proto uint8) ([]Socket, error) {
	var all []Socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		msgs, err := diag(ctx, "listening sockets", diagRequest{family, proto})
		if err != nil {
			return all, err
		}
		for _, m := range msgs {
			if s, ok := socket(m, family); ok {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// diag lists the sockets that are asked for (sock_diag(7)), each as its message.
func diag(ctx context.Context, what string, request nl.NetlinkRequestData) (msgs [][]byte, err error) {
	err = dump(ctx, what, func() (err error) {
		req := nl.NewNetlinkRequest(sockDiag, unix.NLM_F_DUMP)
		req.AddData(request)
		msgs, err = req.Execute(unix.NETLINK_SOCK_DIAG, sockDiag)
		return err
	})
	return msgs, err
}

// diagRequest is a struct inet_diag_req_v2 for all sockets of the family that wait for anybody: those of TCP listen, those
// of others are not connected.
type diagRequest struct{ family, proto uint8 }

func (diagRequest) Len() int { return 56 }

func (r diagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = r.family, r.proto
	state := tcpClose
	if r.proto == unix.IPPROTO_TCP {
		state = tcpListen
	}
	binary.NativeEndian.PutUint32(b[4:], 1<<state)
	return b
}

// socket reads a struct inet_diag_msg and the attributes behind it.
func socket(m []byte, family uint8) (s Socket, ok bool) {
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
		if a.Attr.Type == v6Only && len(a.Value) > 0 {
			s.Only = a.Value[0] != 0
		}
	}
	return s, ok
}
