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
	tcpListen = 10 // TCP_LISTEN (net/tcp_states.h)
)

// Listeners are the TCP sockets that listen, in the namespace of the calling thread.
func Listeners(ctx context.Context) ([]uplinks.Listener, error) {
	var all []uplinks.Listener
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var msgs [][]byte
		err := dump(ctx, "listening sockets", func() (err error) {
			req := nl.NewNetlinkRequest(sockDiag, unix.NLM_F_DUMP)
			req.AddData(diagRequest(family))
			msgs, err = req.Execute(unix.NETLINK_SOCK_DIAG, sockDiag)
			return err
		})
		if err != nil {
			return all, err
		}
		for _, m := range msgs {
			if l, ok := listener(m, family); ok {
				all = append(all, l)
			}
		}
	}
	return all, nil
}

// diagRequest is a struct inet_diag_req_v2 for all sockets of the family that listen.
type diagRequest uint8

func (diagRequest) Len() int { return 56 }

func (family diagRequest) Serialize() []byte {
	b := make([]byte, family.Len())
	b[0], b[1] = uint8(family), unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], 1<<tcpListen)
	return b
}

// listener reads a struct inet_diag_msg and the attributes behind it.
func listener(m []byte, family uint8) (l uplinks.Listener, ok bool) {
	const size = 72
	if len(m) < size {
		return l, false
	}
	address := m[8:24]
	if family == unix.AF_INET {
		address = address[:4]
	}
	l.Addr, ok = netip.AddrFromSlice(address)
	l.Port = binary.BigEndian.Uint16(m[4:])
	l.Link = int(binary.NativeEndian.Uint32(m[40:]))
	attrs, err := nl.ParseRouteAttr(m[size:])
	if err != nil {
		return l, false
	}
	for _, a := range attrs {
		if a.Attr.Type == v6Only && len(a.Value) > 0 {
			l.Only = a.Value[0] != 0
		}
	}
	return l, ok
}
