package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of a connection that the library does not define (linux/netfilter/nfnetlink_conntrack.h), and the version of a
// request without which the kernel takes a family for all families (net/netfilter/nf_conntrack_netlink.c).
const (
	ctaZone        = 18
	ctaStatusMask  = 26
	familyMatters  = 1
	ipsSrcNAT      = 1 << 4
	maxMarkUpdates = 512 // in one batch
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

// MarkedConnections returns the connections of the filter.
func MarkedConnections(f MarkFilter) (all []TrackedConnection, err error) {
	err = f.each(func(found Connection, attributes []byte) {
		c := TrackedConnection{Connection: found}
		for attrType, v := range nlattr.All(attributes) {
			switch attrType {
			case nl.CTA_TUPLE_ORIG:
				c.original = append([]byte(nil), v...)
			case ctaZone:
				c.zone = append([]byte(nil), v...)
			}
		}
		if uint32(f.Mark) == c.Mark&uint32(f.Mask) {
			all = append(all, c)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the connections with the mark %s/%s: %w", f.Mark, f.Mask, err)
	}
	return all, nil
}

// FlowsOf returns the original directions of those connections of the filter that are wanted.
func FlowsOf(f MarkFilter, wanted func(Connection) bool) (all []Flow, err error) {
	err = f.each(func(c Connection, _ []byte) {
		if wanted(c) {
			all = append(all, c.Original)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the connections with the mark %s/%s: %w", f.Mark, f.Mask, err)
	}
	return all, nil
}

// TrackedConnection is a connection with what identifies it to the kernel.
type TrackedConnection struct {
	Connection
	original, zone []byte // attributes
}

// DeleteTranslated deletes the connections of the filter whose source address is translated. Kernels that know no filter by
// status delete all of the filter.
func DeleteTranslated(f MarkFilter) error {
	req := f.request(nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
	status := binary.BigEndian.AppendUint32(nil, ipsSrcNAT)
	req.AddData(nl.NewRtAttr(nl.CTA_STATUS, status))
	req.AddData(nl.NewRtAttr(ctaStatusMask, status))
	if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete the connections with the mark %s/%s: %w", f.Mark, f.Mask, err)
	}
	return nil
}

// SetMark sets the bits under the mask of the connections' marks. A connection that is gone is no error.
func SetMark(all []TrackedConnection, mark marks.Mark, mask marks.Mask) error {
	if len(all) == 0 {
		return nil
	}
	w, err := openProtocolWriter(unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open a conntrack socket: %w", err)
	}
	defer w.close()
	var errs []error
	for from := 0; from < len(all); from += maxMarkUpdates {
		var messages []message
		for _, c := range all[from:min(from+maxMarkUpdates, len(all))] {
			messages = append(messages, c.markMessage(mark, mask))
		}
		for _, err := range w.send(messages) {
			if err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("mark %d connections with %s/%s: %d failed: %w", len(all), mark, mask, len(errs), errs[0])
	}
	return nil
}

// markMessage encodes the change of one connection's mark.
func (c TrackedConnection) markMessage(mark marks.Mark, mask marks.Mask) message {
	m := newMessage(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_NEW, 0, nl.SizeofNfgenmsg)
	m.header()[0] = c.Original.family()
	m.addAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, c.original)
	if c.zone != nil {
		m.addAttr(ctaZone, c.zone)
	}
	m.addAttr(nl.CTA_MARK, binary.BigEndian.AppendUint32(nil, uint32(mark)))
	m.addAttr(ctaMarkMask, binary.BigEndian.AppendUint32(nil, uint32(mask)))
	return m
}

// AnyOffloaded reports whether a connection of the filter is in a flow table.
func AnyOffloaded(f MarkFilter) (bool, error) {
	all, err := MarkedConnections(f)
	return slices.ContainsFunc(all, func(c TrackedConnection) bool { return c.Offloaded }), err
}
