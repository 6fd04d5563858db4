package rtnl

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// readLinks reads all links.
func (h *Handle) readLinks(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) error {
	links, err := h.listLinks(ctx)
	if err != nil {
		return err
	}
	addresses, err := h.readAddresses(ctx, 0)
	if err != nil {
		return err
	}
	h.linkNames, h.linkIndexes = map[int]string{}, map[string]int{}
	for _, l := range links {
		h.addLink(facts, have, l, addresses)
	}
	return nil
}

// withoutStatistics has statistics left out: they would be most of what is told of a link.
func withoutStatistics() nl.NetlinkRequestData {
	return nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics))
}

// listLinks gives all links.
func (h *Handle) listLinks(ctx context.Context) (links []netlink.Link, err error) {
	err = dump(ctx, "links", func() error {
		links = nil
		req := h.request(unix.RTM_GETLINK, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		req.AddData(withoutStatistics())
		return forEachReply(req, unix.RTM_NEWLINK, func(m []byte) error {
			l, err := netlink.LinkDeserialize(nil, m)
			links = append(links, l)
			return err
		})
	})
	return links, err
}

// linkByName gives a link. One that is not there is ENODEV.
func (h *Handle) linkByName(name string) (l netlink.Link, err error) {
	req := h.request(unix.RTM_GETLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(withoutStatistics())
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	err = forEachReply(req, unix.RTM_NEWLINK, func(m []byte) (err error) { l, err = netlink.LinkDeserialize(nil, m); return err })
	if err == nil && l == nil {
		err = unix.ENODEV
	}
	return l, err
}

// addLink fills in a link, given the addresses of all.
func (h *Handle) addLink(facts *uplinks.Facts, have *uplinks.State, l netlink.Link, addresses map[int][]uplinks.Addr) {
	a := l.Attrs()
	h.linkNames[a.Index], h.linkIndexes[a.Name] = a.Name, a.Index
	facts.Links[a.Name] = uplinks.Link{
		Name:         a.Name,
		Index:        a.Index,
		MAC:          string(a.HardwareAddr),
		Up:           a.RawFlags&unix.IFF_UP != 0,
		Carrier:      a.RawFlags&unix.IFF_LOWER_UP != 0,
		Group:        uplinks.Group(a.Group),
		PointToPoint: a.RawFlags&unix.IFF_POINTOPOINT != 0,
		VRF:          vrfTable(l),
		Addrs:        addresses[a.Index],
	}
	have.Tunables[uplinks.Tunable{Link: a.Name, Name: uplinks.LinkGroup}] = fmt.Sprint(a.Group)
}

// vrfTable is the table of the VRF that a link is, or is in.
func vrfTable(l netlink.Link) uplinks.Table {
	if master, is := l.(*netlink.Vrf); is {
		return uplinks.Table(master.Table)
	}
	if slave, in := l.Attrs().Slave.(*netlink.VrfSlave); in {
		return uplinks.Table(slave.Table)
	}
	return 0
}

// toAddr is the zero Addr for nil.
func toAddr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// LinkIndex is the number of a link, 0 for the empty name. A link that was read has the number that it had then: what is
// written of it follows from what was read of that one, and fails when it has gone meanwhile, whosoever has its name now.
func (h *Handle) LinkIndex(link string) (int, error) {
	if link == "" {
		return 0, nil
	}
	if index, known := h.linkIndexes[link]; known {
		return index, nil
	}
	l, err := h.linkByName(link)
	if err != nil {
		return 0, fmt.Errorf("find link %s: %w", link, err)
	}
	return l.Attrs().Index, nil
}
