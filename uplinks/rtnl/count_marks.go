package rtnl

import (
	"context"
	"encoding/binary"

	"replypath/marks/nlattr"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// CountMarks returns the number of connections of the filter by their mark.
func CountMarks(ctx context.Context, f MarkFilter) (map[uint32]int, error) {
	count := map[uint32]int{}
	err := dump(ctx, "connections", func() error {
		clear(count)
		return f.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP).ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
			if mark, ok := markOf(m); ok && mark&uint32(f.Mask) == uint32(f.Mark) {
				count[mark]++
			}
			return true
		})
	})
	return count, err
}

// markOf returns the mark of the connection in a message of nfnetlink.
func markOf(m []byte) (mark uint32, ok bool) {
	if len(m) < nl.SizeofNfgenmsg {
		return 0, false
	}
	for attrType, v := range nlattr.All(m[nl.SizeofNfgenmsg:]) {
		if attrType == nl.CTA_MARK && len(v) == 4 {
			return binary.BigEndian.Uint32(v), true
		}
	}
	return 0, false
}
