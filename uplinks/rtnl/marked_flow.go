package rtnl

import (
	"cmp"
	"context"
	"slices"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// MarkedFlows returns the connections whose mark has any of the bits of the mask, grouped and sorted by their mark, in the network
// namespace of the calling thread.
func MarkedFlows(ctx context.Context, mask marks.Mask) ([]uplinks.MarkedConnections, error) {
	found := map[uint32]*uplinks.MarkedConnections{}
	err := dump(ctx, "connections", func() error {
		clear(found)
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
		req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
		return req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
			countMarked(found, m, mask)
			return true
		})
	})
	var all []uplinks.MarkedConnections
	for _, f := range found {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b uplinks.MarkedConnections) int { return cmp.Compare(a.Mark, b.Mark) })
	return all, err
}

// countMarked adds a connection to the group of its mark, when the mark has bits of the mask.
func countMarked(found map[uint32]*uplinks.MarkedConnections, m []byte, mask marks.Mask) {
	if len(m) < nl.SizeofNfgenmsg {
		return
	}
	c := parseConnection(m[nl.SizeofNfgenmsg:])
	if c.Mark&uint32(mask) == 0 {
		return
	}
	if found[c.Mark] == nil {
		found[c.Mark] = &uplinks.MarkedConnections{Mark: c.Mark, Example: c.Original.String()}
	}
	found[c.Mark].Count++
}
