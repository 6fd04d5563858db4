package rtnl

import (
	"context"
	"encoding/binary"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// unconnected is the state of a UDP socket that is bound alone: TCP_CLOSE (net/tcp_states.h).
const unconnected = 7

// UDPSockets are those that are bound and not connected, in the namespace of the calling thread.
func UDPSockets(ctx context.Context) ([]uplinks.UDPSocket, error) {
	var all []uplinks.UDPSocket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var msgs [][]byte
		err := dump(ctx, "UDP sockets", func() (err error) {
			req := nl.NewNetlinkRequest(sockDiag, unix.NLM_F_DUMP)
			req.AddData(udpRequest(family))
			msgs, err = req.Execute(unix.NETLINK_SOCK_DIAG, sockDiag)
			return err
		})
		if err != nil {
			return all, err
		}
		for _, m := range msgs {
			if l, ok := listener(m, family); ok {
				all = append(all, uplinks.UDPSocket{Addr: l.Addr, Port: l.Port, Link: l.Link, Only: l.Only,
					Inode: binary.NativeEndian.Uint32(m[68:])})
			}
		}
	}
	return all, nil
}

// udpRequest is a struct inet_diag_req_v2 for such sockets of the family.
type udpRequest uint8

func (udpRequest) Len() int { return 56 }

func (family udpRequest) Serialize() []byte {
	b := make([]byte, family.Len())
	b[0], b[1] = uint8(family), unix.IPPROTO_UDP
	binary.NativeEndian.PutUint32(b[4:], 1<<unconnected)
	return b
}

// Natures are the links' MTUs and kinds, by their names.
func (h *Handle) Natures(ctx context.Context) (map[string]uplinks.Nature, error) {
	var links []netlink.Link
	if err := dump(ctx, "links", func() (err error) { links, err = h.h.LinkList(); return err }); err != nil {
		return nil, err
	}
	all := map[string]uplinks.Nature{}
	for _, l := range links {
		all[l.Attrs().Name] = uplinks.Nature{MTU: l.Attrs().MTU, Kind: l.Type()}
	}
	return all, nil
}
