package rtnl

import (
	"context"
	"encoding/binary"
	"net/netip"

	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// readAddresses returns the addresses of the link with the index, or of all links for 0, by the index of their link. The
// library can only list those of all links.
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
				index, a := parseAddress(m)
				found[index] = append(found[index], a)
				return nil
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

// parseAddress decodes an address and the index of its link. The prefix of an address with a peer is the address alone: the
// network that the kernel reports is that of the peer.
func parseAddress(m []byte) (link int, a uplinks.Addr) {
	msg := nl.DeserializeIfAddrmsg(m)
	var local, peer netip.Addr
	flags := uint32(msg.Flags)
	leased := false
	for attrType, v := range nlattr.All(m[msg.Len():]) {
		switch attrType {
		case unix.IFA_ADDRESS:
			peer = v.Addr()
		case unix.IFA_LOCAL:
			local = v.Addr()
		case unix.IFA_FLAGS:
			flags = v.Uint32()
		case unix.IFA_CACHEINFO:
			leased = hasLifetime(v)
		}
	}
	a = uplinks.Addr{
		Prefix:     netip.PrefixFrom(peer, int(msg.Prefixlen)),
		LinkLocal:  isLinkScoped(msg.Scope, peer),
		Tentative:  flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && flags&unix.IFA_F_OPTIMISTIC == 0,
		Deprecated: flags&unix.IFA_F_DEPRECATED != 0,
		Leased:     leased,
		// The same bit means "secondary" on an IPv4 address (linux/if_addr.h).
		Temporary: peer.Is6() && flags&unix.IFA_F_TEMPORARY != 0,
	}
	if local.IsValid() && local != peer {
		a.Prefix = netip.PrefixFrom(local, local.BitLen())
	}
	return int(msg.Index), a
}

// hasLifetime reports whether the valid lifetime, the second word of struct ifa_cacheinfo (linux/if_addr.h), is finite.
func hasLifetime(cacheinfo []byte) bool {
	return len(cacheinfo) >= 8 && binary.NativeEndian.Uint32(cacheinfo[4:]) != infiniteLifetime
}

// infiniteLifetime is INFINITY_LIFE_TIME of net/addrconf.h.
const infiniteLifetime = 0xffffffff

// isLinkScoped reports whether an address is unusable beyond its link. Any other IPv4 address can have the scope of a link
// too: then the kernel does not choose it as a source by itself, but replies from it.
func isLinkScoped(scope uint8, a netip.Addr) bool {
	return scope == unix.RT_SCOPE_HOST || scope == unix.RT_SCOPE_LINK && a.IsLinkLocalUnicast()
}
