package rtnl

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ConnectionsWithMark returns connections of the filter, at most limit of them, in the network namespace of the calling thread. It
// needs CAP_NET_ADMIN.
func ConnectionsWithMark(ctx context.Context, f MarkFilter, limit int) ([]Connection, error) {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a conntrack socket: %w", err)
	}
	defer socket.Close() // ends a dump whose rest is not read
	req := f.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	if err := socket.Send(req); err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	var all []Connection
	for ctx.Err() == nil {
		msgs, _, err := socket.Receive()
		if err != nil {
			return all, fmt.Errorf("list connections: %w", err)
		}
		for _, m := range msgs {
			switch {
			case m.Header.Type == unix.NLMSG_DONE:
				return all, nil
			case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
				return all, fmt.Errorf("list connections: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data))))
			case len(m.Data) < nl.SizeofNfgenmsg:
				continue
			}
			if all = append(all, parseConnection(m.Data[nl.SizeofNfgenmsg:])); len(all) == limit {
				return all, nil
			}
		}
	}
	return all, ctx.Err()
}
