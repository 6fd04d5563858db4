package rtnl

import (
	"context"
	"fmt"
	"net"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// readLinks reads all links with their addresses into the facts, and their groups into have.
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

// withoutStatistics returns an attribute that omits statistics, which are most of an answer about a link.
func withoutStatistics() nl.NetlinkRequestData {
	return nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics))
}

// listLinks returns all links.
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

// linkByName returns the link. The error of a link that does not exist is ENODEV.
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

// addLink adds the link, with its addresses out of those of all links.
func (h *Handle) addLink(facts *uplinks.Facts, have *uplinks.State, l netlink.Link, addresses map[int][]uplinks.Addr) {
	a := l.Attrs()
	h.linkNames[a.Index], h.linkIndexes[a.Name] = a.Name, a.Index
	facts.Links[a.Name] = uplinks.Link{
		Name:         a.Name,
		AltNames:     a.AltNames,
		Index:        a.Index,
		MAC:          ethernetAddr(a.HardwareAddr),
		Up:           a.RawFlags&unix.IFF_UP != 0,
		Carrier:      a.RawFlags&unix.IFF_LOWER_UP != 0,
		MTU:          a.MTU,
		Group:        uplinks.Group(a.Group),
		PointToPoint: a.RawFlags&unix.IFF_POINTOPOINT != 0,
		VRF:          vrfTable(l),
		Lower:        lowerLink(l),
		Isolated:     isIsolated(l),
		Rerouted:     isRerouted(l),
		Kind:         kernelKind(l),
		Master:       portMaster(l),
		Addrs:        addresses[a.Index],
	}
	have.Tunables[uplinks.Tunable{Link: a.Name, Name: uplinks.LinkGroup}] = fmt.Sprint(a.Group)
}

// ethernetAddrSize is the size of a hardware address of Ethernet.
const ethernetAddrSize = 6

// ethernetAddr returns the hardware address of a link, empty if it is none of Ethernet: tunnels have the address of their end.
func ethernetAddr(a net.HardwareAddr) string {
	if len(a) != ethernetAddrSize {
		return ""
	}
	return string(a)
}

// vrfTable returns the table of the VRF that the link is, or belongs to, or 0.
func vrfTable(l netlink.Link) uplinks.Table {
	if master, is := l.(*netlink.Vrf); is {
		return uplinks.Table(master.Table)
	}
	if slave, in := l.Attrs().Slave.(*netlink.VrfSlave); in {
		return uplinks.Table(slave.Table)
	}
	return 0
}

// lowerLink returns the index of the link that a VLAN, macvlan or ipvlan is stacked on, or 0. The lower link may be in
// another namespace, where the same index is that of another link. IFLA_LINK of other kinds has another meaning: for veth it
// is the peer.
func lowerLink(l netlink.Link) int {
	switch l.(type) {
	case *netlink.Vlan, *netlink.Macvlan, *netlink.Macvtap, *netlink.IPVlan, *netlink.IPVtap:
		if l.Attrs().NetNsID < 0 {
			return l.Attrs().ParentIndex
		}
	}
	return 0
}

// isIsolated reports whether no packet of another host comes in by the link.
func isIsolated(l netlink.Link) bool {
	_, dummy := l.(*netlink.Dummy)
	return dummy || l.Attrs().RawFlags&unix.IFF_LOOPBACK != 0
}

// isRerouted reports whether the kernel routes what leaves by the link once more, by the link below (drivers/net/ipvlan/ipvlan_core.c,
// ipvlan_process_outbound).
func isRerouted(l netlink.Link) bool {
	switch l := l.(type) {
	case *netlink.IPVlan:
		return l.Mode != netlink.IPVLAN_MODE_L2
	case *netlink.IPVtap:
		return l.Mode != netlink.IPVLAN_MODE_L2
	}
	return false
}

// portMaster returns the index of the link that takes the packets which come in by the link: a bridge, a bond, a team, but
// not a VRF. It is 0 for none.
func portMaster(l netlink.Link) int {
	if _, inVRF := l.Attrs().Slave.(*netlink.VrfSlave); inVRF {
		return 0
	}
	return l.Attrs().MasterIndex
}

// LinkIndex returns the index of a link, or 0 for the empty name. A link keeps the index of the last read: a change that
// follows from what was read of it must fail when it is gone, even when another link has its name now.
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
