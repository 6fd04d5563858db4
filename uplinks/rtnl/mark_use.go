package rtnl

import (
	"context"

	"replypath/marks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// MarkUse counts the connections with a mark.
type MarkUse struct {
	Connections int
	Assured     int // of those: packets were seen in both directions, and the handshake is complete
}

// MarksInUse returns how many connections of the filter have each of the marks under the mask.
func MarksInUse(ctx context.Context, f MarkFilter, mask marks.Mask) (map[marks.Mark]MarkUse, error) {
	use := map[marks.Mark]MarkUse{}
	err := dump(ctx, "connections", func() error {
		clear(use)
		return f.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP).ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
			if len(m) < nl.SizeofNfgenmsg {
				return true
			}
			c := parseConnection(m[nl.SizeofNfgenmsg:])
			mark := marks.Mark(c.Mark & uint32(mask))
			u := use[mark]
			u.Connections++
			if c.Assured {
				u.Assured++
			}
			use[mark] = u
			return true
		})
	})
	return use, err
}
