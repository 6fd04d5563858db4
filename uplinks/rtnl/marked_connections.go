package rtnl

import (
	"context"
	"encoding/binary"
	"fmt"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ctaMarkMask is CTA_MARK_MASK (linux/netfilter/nfnetlink_conntrack.h): the kernel then lists only connections whose mark has the
// given value in these bits.
const ctaMarkMask = 21

// ConnectionsWithMark returns connections of the family whose mark has the value in the bits of the mask, at most limit of them, in
// the network namespace of the calling thread. It needs CAP_NET_ADMIN.
func ConnectionsWithMark(ctx context.Context, f uplinks.Family, mark marks.Mark, mask marks.Mask, limit int) ([]Connection, error) {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a conntrack socket: %w", err)
	}
	defer socket.Close() // ends a dump whose rest is not read
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: uint8(addressFamily(f)), Version: nl.NFNETLINK_V0})
	word := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	req.AddData(nl.NewRtAttr(nl.CTA_MARK, word(uint32(mark))))
	req.AddData(nl.NewRtAttr(ctaMarkMask, word(uint32(mask))))
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
