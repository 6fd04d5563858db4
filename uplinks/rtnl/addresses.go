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
func (h *Handle) readAddresses(ctx context.Context, link int) (of map[int][]uplinks.Addr, err error) {
	of = map[int][]uplinks.Addr{}
	for _, f := range uplinks.Families {
		var some map[int][]uplinks.Addr
		err := dump(ctx, f.String()+" addresses", func() error {
			some = map[int][]uplinks.Addr{}
			req := h.request(unix.RTM_GETADDR, unix.NLM_F_DUMP)
			msg := nl.NewIfAddrmsg(number(f))
			msg.Index = uint32(link)
			req.AddData(msg)
			return each(req, unix.RTM_NEWADDR, func(m []byte) error {
				index, a, err := address(m)
				some[index] = append(some[index], a)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		for index, addrs := range some {
			of[index] = append(of[index], addrs...)
		}
	}
	return of, nil
}

// address reads an address, and the index of its link. Of one that has a peer, the peer is who the network is of.
func address(m []byte) (link int, a uplinks.Addr, err error) {
	msg := nl.DeserializeIfAddrmsg(m)
	attrs, err := nl.ParseRouteAttr(m[msg.Len():])
	if err != nil {
		return 0, a, err
	}
	var own, peer netip.Addr
	flags := uint32(msg.Flags)
	for _, at := range attrs {
		switch v := value(at.Value); at.Attr.Type & typeMask {
		case unix.IFA_ADDRESS:
			peer, _ = netip.AddrFromSlice(v)
		case unix.IFA_LOCAL:
			own, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			flags = v.word()
		}
	}
	a = uplinks.Addr{
		Prefix:     netip.PrefixFrom(peer, int(msg.Prefixlen)),
		LinkLocal:  local(msg.Scope, peer),
		Tentative:  flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && flags&unix.IFA_F_OPTIMISTIC == 0,
		Deprecated: flags&unix.IFA_F_DEPRECATED != 0,
		// The same bit means "secondary" on an IPv4 address (linux/if_addr.h).
		Temporary: peer.Is6() && flags&unix.IFA_F_TEMPORARY != 0,
	}
	if own.IsValid() && own != peer {
		a.Prefix = netip.PrefixFrom(own, own.BitLen())
	}
	return int(msg.Index), a, nil
}

// local reports whether an address of this scope is of no use beyond its link. Others of IPv4 can have that scope too: the
// kernel then does not choose them by itself, and answers from them when asked.
func local(scope uint8, a netip.Addr) bool {
	return scope == unix.RT_SCOPE_HOST || scope == unix.RT_SCOPE_LINK && a.IsLinkLocalUnicast()
}
