package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of a request that selects connections by parts of their tuples, from Linux 5.8 on
// (linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c).
const (
	ctaFilter          = 25
	ctaFilterOrigFlags = 1
	filterSource       = 1 << 0 // the source address of the original direction
)

// TranslatedPortsOf returns the original directions of those connections from the address in the filter of which the source port alone is
// translated: the kernel does so where another connection has the port. It lists these only, where DeleteTranslated is able to delete.
func TranslatedPortsOf(f MarkFilter, from netip.Addr) (all []Flow, err error) {
	if able, err := filtersByStatus(); !able || err != nil {
		return nil, err
	}
	req := f.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	addStatus(req, ipsSrcNAT, ipsSrcNAT)
	source := nl.CTA_IP_V4_SRC
	if !from.Is4() {
		source = nl.CTA_IP_V6_SRC
	}
	tuple := nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, nil)
	tuple.AddRtAttr(unix.NLA_F_NESTED|ctaIP, nil).AddRtAttr(source, from.AsSlice())
	req.AddData(tuple)
	filter := nl.NewRtAttr(unix.NLA_F_NESTED|ctaFilter, nil)
	filter.AddRtAttr(ctaFilterOrigFlags, binary.NativeEndian.AppendUint32(nil, filterSource))
	req.AddData(filter)
	err = req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
		if len(m) >= nl.SizeofNfgenmsg {
			if c := parseConnection(m[nl.SizeofNfgenmsg:]); c.Original.From.Addr() == from && !c.TranslatesSource() {
				all = append(all, c.Original)
			}
		}
		return true
	})
	return all, f.listError(err)
}
