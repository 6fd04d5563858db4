package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"replypath/marks"
	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of a connection that the library does not define (linux/netfilter/nfnetlink_conntrack.h), the version of a request without
// which the kernel takes a family for all families (net/netfilter/nf_conntrack_netlink.c), and the status of a connection whose source is
// translated (IPS_SRC_NAT).
const (
	ctaZone       = 18
	ctaMarkMask   = 21
	ctaStatusMask = 26
	familyMatters = 1
	ipsSrcNAT     = 1 << 4
)

// MarkFilter selects the connections of a family by the bits of their mark under a mask.
type MarkFilter struct {
	Family uplinks.Family // zero: both
	Mark   marks.Mark
	Mask   marks.Mask
}

// request returns a request on all connections of the filter.
func (f MarkFilter) request(kind int, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|kind, flags)
	family := &nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: familyMatters}
	if f.Family != 0 {
		family.NfgenFamily = uint8(addressFamily(f.Family))
	}
	req.AddData(family)
	req.AddData(nl.NewRtAttr(nl.CTA_MARK, binary.BigEndian.AppendUint32(nil, uint32(f.Mark))))
	req.AddData(nl.NewRtAttr(ctaMarkMask, binary.BigEndian.AppendUint32(nil, uint32(f.Mask))))
	return req
}

// each calls use for each connection of the filter, with its attributes, which are valid until it returns.
func (f MarkFilter) each(use func(c Connection, attributes []byte)) error {
	return f.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP).ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
		if len(m) >= nl.SizeofNfgenmsg {
			attributes := m[nl.SizeofNfgenmsg:]
			use(parseConnection(attributes), attributes)
		}
		return true
	})
}

// EachMarked calls use for each connection of the filter. What identifies the connection to the kernel is valid until use returns.
func EachMarked(f MarkFilter, use func(TrackedConnection)) error {
	err := f.each(func(found Connection, attributes []byte) {
		if uint32(f.Mark) != found.Mark&uint32(f.Mask) {
			return
		}
		c := TrackedConnection{Connection: found}
		for attrType, v := range nlattr.All(attributes) {
			switch attrType {
			case nl.CTA_TUPLE_ORIG:
				c.original = v
			case ctaZone:
				c.zone = v
			}
		}
		use(c)
	})
	return f.listError(err)
}

// ErrNoConnectionList means that the kernel has no nf_conntrack_netlink: it neither lists nor changes connections.
var ErrNoConnectionList = errors.New("the kernel lacks nf_conntrack_netlink")

// listError returns the error of a dump of the filter, or nil. EINVAL is that of a message to no subsystem (net/netfilter/nfnetlink.c,
// nfnetlink_rcv_msg): the kernel ignores what it does not know in a filter.
func (f MarkFilter) listError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("%w: %w", err, ErrNoConnectionList)
	}
	return fmt.Errorf("list the connections with the mark %s/%s: %w", f.Mark, f.Mask, err)
}

// FlowsOf returns the original directions of those connections of the filter that are wanted.
func FlowsOf(f MarkFilter, wanted func(Connection) bool) (all []Flow, err error) {
	err = f.each(func(c Connection, _ []byte) {
		if wanted(c) {
			all = append(all, c.Original)
		}
	})
	return all, f.listError(err)
}

// TrackedConnection is a connection with what identifies it to the kernel.
type TrackedConnection struct {
	Connection
	original, zone []byte // attributes
}

// DeleteTranslated deletes the connections of the filter whose source address is translated, by one request. It deletes nothing if the
// kernel does not filter by status and is not able to: it would delete all of the filter. Safe for concurrent use.
func DeleteTranslated(f MarkFilter) (able bool, err error) {
	if able, err = filtersByStatus(); !able || err != nil {
		return able, err
	}
	req := f.request(nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
	addStatus(req, ipsSrcNAT, ipsSrcNAT)
	if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return true, fmt.Errorf("delete the connections with the mark %s/%s: %w", f.Mark, f.Mask, err)
	}
	return true, nil
}

// statusFilter is what filtersByStatus has found out; nil before.
var statusFilter atomic.Pointer[bool]

// filtersByStatus reports whether the kernel filters connections by their status, as from Linux 5.15 on, and by family and mark
// when it deletes them, which is older. Kernels before that ignore the attribute. It asks once, for a list, which deletes
// nothing: those that read the attribute refuse a status with an empty mask (net/netfilter/nf_conntrack_netlink.c), and no mark
// has bits that are not in its mask.
func filtersByStatus() (bool, error) {
	if known := statusFilter.Load(); known != nil {
		return *known, nil
	}
	req := MarkFilter{Mark: 1}.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	addStatus(req, ipsSrcNAT, 0)
	err := req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func([]byte) bool { return false })
	able := errors.Is(err, unix.EINVAL)
	if err != nil && !able {
		return false, fmt.Errorf("ask whether the kernel filters connections by status: %w", err)
	}
	statusFilter.Store(&able)
	return able, nil
}

// addStatus adds a filter by the bits of the status under a mask to a request.
func addStatus(req *nl.NetlinkRequest, status, mask uint32) {
	req.AddData(nl.NewRtAttr(nl.CTA_STATUS, binary.BigEndian.AppendUint32(nil, status)))
	req.AddData(nl.NewRtAttr(ctaStatusMask, binary.BigEndian.AppendUint32(nil, mask)))
}

// AnyOffloaded reports whether a connection of the filter is in a flow table.
func AnyOffloaded(f MarkFilter) (any bool, err error) {
	err = EachMarked(f, func(c TrackedConnection) { any = any || c.Offloaded })
	return any, err
}
