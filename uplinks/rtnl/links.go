package rtnl

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readLinks gives the links' names by their index.
func (h *Handle) readLinks(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) (map[int]string, error) {
	var links []netlink.Link
	err := dump(ctx, "links", func() (err error) { links, err = h.h.LinkList(); return err })
	if err != nil {
		return nil, err
	}
	var addrs []netlink.Addr
	err = dump(ctx, "addresses", func() (err error) { addrs, err = h.h.AddrList(nil, netlink.FAMILY_ALL); return err })
	if err != nil {
		return nil, err
	}
	of := map[int][]uplinks.Addr{}
	for _, a := range addrs {
		of[a.LinkIndex] = append(of[a.LinkIndex], address(a))
	}
	names := map[int]string{}
	h.indexes = map[string]int{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		h.indexes[a.Name] = a.Index
		facts.Links[a.Name] = uplinks.Link{
			Name:         a.Name,
			Index:        a.Index,
			MAC:          string(a.HardwareAddr),
			Up:           a.RawFlags&unix.IFF_UP != 0,
			Carrier:      a.RawFlags&unix.IFF_LOWER_UP != 0,
			Group:        uplinks.Group(a.Group),
			PointToPoint: a.RawFlags&unix.IFF_POINTOPOINT != 0,
			Addrs:        of[a.Index],
		}
		have.Tunables[uplinks.Tunable{Link: a.Name, Name: uplinks.LinkGroup}] = fmt.Sprint(a.Group)
	}
	return names, nil
}

func address(a netlink.Addr) uplinks.Addr {
	p := prefix(a.IPNet)
	return uplinks.Addr{
		Prefix:     p,
		LinkLocal:  a.Scope >= unix.RT_SCOPE_LINK,
		Tentative:  a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0,
		Deprecated: a.Flags&unix.IFA_F_DEPRECATED != 0,
		// The same bit means "secondary" on an IPv4 address (linux/if_addr.h).
		Temporary: p.Addr().Is6() && a.Flags&unix.IFA_F_TEMPORARY != 0,
	}
}

// prefix is the zero Prefix for nil.
func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits)
}

// addr is the zero Addr for nil.
func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// Index is the number of a link, 0 for the empty name. A link that was read has the number that it had then: what is
// written of it follows from what was read of that one, and fails when it has gone meanwhile, whosoever has its name now.
func (h *Handle) Index(link string) (int, error) {
	if link == "" {
		return 0, nil
	}
	if index, read := h.indexes[link]; read {
		return index, nil
	}
	l, err := h.h.LinkByName(link)
	if err != nil {
		return 0, fmt.Errorf("find link %s: %w", link, err)
	}
	return l.Attrs().Index, nil
}
