package rtnl

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ctaMark is CTA_MARK (linux/netfilter/nfnetlink_conntrack.h).
const ctaMark = 8

// MarkedFlows are the connections whose mark has any of the bits, by their marks, in the namespace of the calling thread.
func MarkedFlows(ctx context.Context, mask marks.Mask) ([]uplinks.MarkedFlow, error) {
	found := map[uint32]*uplinks.MarkedFlow{}
	err := dump(ctx, "connections", func() error {
		clear(found)
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
		req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
		return req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
			note(found, m, mask)
			return true
		})
	})
	var all []uplinks.MarkedFlow
	for _, f := range found {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b uplinks.MarkedFlow) int { return cmp.Compare(a.Mark, b.Mark) })
	return all, err
}

func note(found map[uint32]*uplinks.MarkedFlow, m []byte, mask marks.Mask) {
	if len(m) < nl.SizeofNfgenmsg {
		return
	}
	attrs, err := nl.ParseRouteAttr(m[nl.SizeofNfgenmsg:])
	if err != nil {
		return
	}
	var mark uint32
	var tuple []byte
	for _, a := range attrs {
		switch a.Attr.Type & typeMask {
		case ctaMark:
			if len(a.Value) == 4 {
				mark = binary.BigEndian.Uint32(a.Value)
			}
		case nl.CTA_TUPLE_ORIG:
			tuple = a.Value
		}
	}
	if mark&uint32(mask) == 0 {
		return
	}
	if found[mark] == nil {
		found[mark] = &uplinks.MarkedFlow{Mark: mark, Text: tupleText(tuple)}
	}
	found[mark].Count++
}

// tupleText prints who asked whom.
func tupleText(tuple []byte) string {
	part := func(b []byte, kind uint16) []byte {
		attrs, _ := nl.ParseRouteAttr(b)
		for _, a := range attrs {
			if a.Attr.Type&typeMask == kind {
				return a.Value
			}
		}
		return nil
	}
	ip, proto := part(tuple, ctaIP), part(tuple, ctaProto)
	address := func(v4, v6 uint16) netip.Addr {
		a, ok := netip.AddrFromSlice(part(ip, v4))
		if !ok {
			a, _ = netip.AddrFromSlice(part(ip, v6))
		}
		return a
	}
	text := fmt.Sprintf("from %s to %s", address(nl.CTA_IP_V4_SRC, nl.CTA_IP_V6_SRC), address(nl.CTA_IP_V4_DST, nl.CTA_IP_V6_DST))
	if number := value(part(proto, ctaProtoNum)).byte(); number != 0 {
		text = fmt.Sprintf("protocol %d %s", number, text)
	}
	if port := part(proto, ctaDstPort); len(port) == 2 {
		text += fmt.Sprintf(" port %d", binary.BigEndian.Uint16(port))
	}
	return text
}
