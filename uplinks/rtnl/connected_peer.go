package rtnl

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// RequestedAddrs returns those addresses, of the given ones, to which the peer of a connected UDP socket sent the first
// datagram of a connection to the socket's port. A client's socket has none: it spoke first. It needs CAP_NET_ADMIN.
func (s Socket) RequestedAddrs(own []netip.Addr) (all []netip.Addr, err error) {
	for _, a := range own {
		if a.Is4() != s.Peer.Addr().Is4() {
			continue
		}
		c, err := FindConnection(Flow{Proto: unix.IPPROTO_UDP, From: s.Peer, To: netip.AddrPortFrom(a, s.Port)})
		if errors.Is(err, ErrNoConnection) {
			continue
		}
		if err != nil {
			return all, err
		}
		// The look-up finds the reply direction of a client's connection, too. Behind DNAT another socket received the datagram.
		requested := c.Original.From == s.Peer && c.Original.To.Addr() == a
		if requested && c.Reply.From == c.Original.To && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, nil
}
