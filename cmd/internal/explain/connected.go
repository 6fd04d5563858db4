package explain

import (
	"context"
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// maxConnected limits the sockets that connected returns: a server may have one for each of its clients.
const maxConnected = 16

// connected returns the UDP sockets on the port that a server connected to a client, those whose address is not the one that the
// client requested first. The kernel chooses the source address of a socket when it is connected, unless it is bound to one.
func (e *Explainer) connected(ctx context.Context, addr ListenAddr, processes socketOwners) (all []ListeningSocket, err error) {
	sockets, err := rtnl.ConnectedUDPSockets(ctx)
	if err != nil {
		return nil, err
	}
	own, err := e.uplinkAddrs()
	if err != nil {
		return nil, err
	}
	requested := map[uint32][]uplinkAddr{} // by the inode of the socket
	for _, s := range sockets {
		if s.Port != addr.Port || addr.Addr.IsValid() && addr.Addr != s.Addr.Unmap() {
			continue
		}
		l := processes.describe(s, addr.Proto)
		requested[s.Inode] = requestedOf(s, own)
		l.KernelSource = slices.ContainsFunc(requested[s.Inode], func(r uplinkAddr) bool { return r.addr != s.Addr.Unmap() })
		all = append(all, l)
	}
	right := func(l ListeningSocket) bool { return !l.KernelSource }
	all = slices.Concat(slices.DeleteFunc(slices.Clone(all), right), slices.DeleteFunc(slices.Clone(all), func(l ListeningSocket) bool { return !right(l) }))
	all = all[:min(len(all), maxConnected)]
	for i := range all {
		for _, r := range requested[all[i].Inode] {
			reply, err := e.connectedReply(ctx, all[i], r)
			if err != nil {
				return nil, err
			}
			all[i].Replies = append(all[i].Replies, reply)
		}
	}
	return all, nil
}

// requestedOf returns those addresses that the peer of the socket requested, as far as connection tracking knows, otherwise the
// address of the socket.
func requestedOf(s rtnl.Socket, own []uplinkAddr) (all []uplinkAddr) {
	var addrs []netip.Addr
	for _, o := range own {
		addrs = append(addrs, o.addr)
	}
	requested, err := s.RequestedAddrs(addrs)
	if err != nil || len(requested) == 0 {
		requested = []netip.Addr{s.Addr.Unmap()}
	}
	for _, o := range own {
		if slices.Contains(requested, o.addr) {
			all = append(all, o)
		}
	}
	return all
}

// connectedReply traces the reply of a connected socket to its peer. Only if the peer requested the address of the socket it
// belongs to the connection of the request, and gets its mark.
func (e *Explainer) connectedReply(ctx context.Context, l ListeningSocket, r uplinkAddr) (reply Reply, err error) {
	from := l.Addr.Unmap()
	p := rpdb.Packet{Family: uplinks.FamilyOf(from), From: from, To: l.Peer.Addr(), Proto: l.Proto, Sport: l.Port, Dport: l.Peer.Port(), UID: l.UID}
	if l.Link != 0 {
		p.Out = r.uplink.Link
	}
	if from == r.addr {
		p.Mark = uint32(e.settings.Mark(r.uplink))
	}
	reply = Reply{Uplink: r.uplink, To: r.addr, From: from}
	reply.Trace, err = e.Trace(ctx, p)
	reply.Symmetric = from == r.addr && e.leavesBy(reply.Trace, r.uplink)
	return reply, err
}
