package rtnl

import (
	"context"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// readAddresses gives the addresses of the link with that index, or of all links, by the links' indexes. The library's
// list always has those of all.
func (h *Handle) readAddresses(ctx context.Context, link int) (byLink map[int][]uplinks.Addr, err error) {
	byLink = map[int][]uplinks.Addr{}
	for _, f := range uplinks.Families {
		var found map[int][]uplinks.Addr
		err := dump(ctx, f.String()+" addresses", func() error {
			found = map[int][]uplinks.Addr{}
			req := h.request(unix.RTM_GETADDR, unix.NLM_F_DUMP)
			msg := nl.NewIfAddrmsg(addressFamily(f))
			msg.Index = uint32(link)
			req.AddData(msg)
			return forEachReply(req, unix.RTM_NEWADDR, func(m []byte) error {
				index, a, err := parseAddress(m)
				found[index] = append(found[index], a)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		for index, addrs := range found {
			byLink[index] = append(byLink[index], addrs...)
		}
	}
	return byLink, nil
}

// parseAddress reads an address, and the index of its link. Of one that has a peer, the peer is who the network is of.
func parseAddress(m []byte) (link int, a uplinks.Addr, err error) {
	msg := nl.DeserializeIfAddrmsg(m)
	attrs, err := nl.ParseRouteAttr(m[msg.Len():])
	if err != nil {
		return 0, a, err
	}
	var local, peer netip.Addr
	flags := uint32(msg.Flags)
	for _, at := range attrs {
		switch v := attrValue(at.Value); at.Attr.Type & typeMask {
		case unix.IFA_ADDRESS:
			peer, _ = netip.AddrFromSlice(v)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			flags = v.uint32()
		}
	}
	a = uplinks.Addr{
		Prefix:     netip.PrefixFrom(peer, int(msg.Prefixlen)),
		LinkLocal:  isLinkScoped(msg.Scope, peer),
		Tentative:  flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && flags&unix.IFA_F_OPTIMISTIC == 0,
		Deprecated: flags&unix.IFA_F_DEPRECATED != 0,
		// The same bit means "secondary" on an IPv4 address (linux/if_addr.h).
		Temporary: peer.Is6() && flags&unix.IFA_F_TEMPORARY != 0,
	}
	if local.IsValid() && local != peer {
		a.Prefix = netip.PrefixFrom(local, local.BitLen())
	}
	return int(msg.Index), a, nil
}

// isLinkScoped reports whether an address of this scope is of no use beyond its link. Others of IPv4 can have that scope too: the
// kernel then does not choose them by itself, and answers from them when asked.
func isLinkScoped(scope uint8, a netip.Addr) bool {
	return scope == unix.RT_SCOPE_HOST || scope == unix.RT_SCOPE_LINK && a.IsLinkLocalUnicast()
}
