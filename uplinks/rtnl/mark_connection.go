package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"replypath/marks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// MarkConnection sets the bits under the mask of the mark of the connection that has the flow as its original direction. A connection
// that is gone is no error.
func MarkConnection(f Flow, mark marks.Mark, mask marks.Mask) error {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_NEW, unix.NLM_F_ACK)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: f.family(), Version: nl.NFNETLINK_V0})
	req.AddData(f.tuple())
	req.AddData(nl.NewRtAttr(nl.CTA_MARK, binary.BigEndian.AppendUint32(nil, uint32(mark))))
	req.AddData(nl.NewRtAttr(ctaMarkMask, binary.BigEndian.AppendUint32(nil, uint32(mask))))
	if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("mark the connection from %s to %s with %s/%s: %w", f.From, f.To, mark, mask, err)
	}
	return nil
}
