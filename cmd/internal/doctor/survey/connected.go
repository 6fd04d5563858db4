package survey

import (
	"context"
	"net/netip"
	"slices"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// maxConnected limits the connected sockets that are looked up. A resolver has hundreds.
const maxConnected = 1000

// readConnected reads the UDP sockets that a server connected to a client that requested another address: the kernel chose the
// address of the socket. Conntrack shows what the client requested.
func (c *collector) readConnected(ctx context.Context) error {
	own := c.uplinkAddrs()
	if !c.Privileged || len(own) == 0 {
		return nil
	}
	all, err := rtnl.ConnectedUDPSockets(ctx)
	if err != nil {
		return err
	}
	var owners map[uint32]procfs.SocketOwner
	for _, s := range all[:min(len(all), maxConnected)] {
		requested, err := s.RequestedAddrs(own)
		if err != nil {
			return err
		}
		if len(requested) == 0 || slices.Contains(requested, s.Addr.Unmap()) {
			continue
		}
		if owners == nil {
			owners, _ = procfs.SocketOwners()
		}
		owner := owners[s.Inode]
		c.result.Sockets = append(c.result.Sockets, doctor.UDPServer{Listener: s.Listener, Process: owner.Name, PID: owner.PID, PktInfoKnown: true,
			Peer: s.Peer, Requested: requested[0]})
	}
	return nil
}

// uplinkAddrs returns the addresses of the uplinks.
func (c *collector) uplinkAddrs() (all []netip.Addr) {
	for _, u := range c.Settings.Uplinks {
		for _, a := range c.result.Facts.Links[u.Link].Addrs {
			if !a.LinkLocal {
				all = append(all, a.Prefix.Addr())
			}
		}
	}
	return all
}
