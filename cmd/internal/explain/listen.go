package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"replypath/marks/dnat"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// ListenAddr selects sockets by protocol, port and optionally address.
type ListenAddr struct {
	Proto uint8
	Addr  netip.Addr // the zero Addr selects all
	Port  uint16
}

// ListeningSocket is a server's socket and the replies that it would send.
type ListeningSocket struct {
	rtnl.Socket
	Proto          uint8
	Process        string // command name; empty if unknown
	PID            string
	PktInfo        bool // it has IP_PKTINFO or IPV6_RECVPKTINFO and replies from the address that received the request
	PktInfoUnknown bool // PktInfo could not be read
	Helped         bool // by the programs of [udp]: it replies from the address that received the request
	KernelSource   bool // the kernel chooses the source address of replies, as far as is known
	Replies        []Reply
}

// Reply is the reply to a request that came in by an uplink.
type Reply struct {
	Uplink    uplinks.Uplink
	To        netip.Addr
	From      netip.Addr
	Trace     Trace
	Symmetric bool // from the address that received the request, and by the same uplink
}

// ErrNoListener is returned if no socket matches a ListenAddr.
var ErrNoListener = errors.New("no socket listens there")

// TraceReplies returns the sockets that match addr, each with its replies to a request of the family's client to each address
// of each uplink.
func (e *Explainer) TraceReplies(ctx context.Context, addr ListenAddr, clients map[uplinks.Family]netip.Addr) (all []ListeningSocket, err error) {
	if len(e.settings.Uplinks) == 0 {
		return nil, errors.New("no uplink is configured: run replypath init --write")
	}
	sockets, err := rtnl.ServerSockets(ctx, addr.Proto)
	if err != nil {
		return nil, err
	}
	var processes socketOwners
	processes.byInode, processes.complete = procfs.SocketOwners()
	for _, s := range sockets {
		if s.Port != addr.Port || addr.Addr.IsValid() && addr.Addr != s.Addr.Unmap() {
			continue
		}
		l := processes.describe(s, addr.Proto)
		shadowed := func(a netip.Addr) bool { return s.Addr.IsUnspecified() && hasSocketAt(sockets, s.Port, a) }
		if l.Replies, err = e.replies(ctx, l, clients, shadowed); err != nil {
			return nil, err
		}
		l.Helped = slices.ContainsFunc(l.Replies, func(r Reply) bool { return e.helps(l, r.To) })
		all = append(all, l)
	}
	if addr.Proto == rpdb.UDP {
		connected, err := e.connected(ctx, addr, processes)
		if err != nil {
			return nil, err
		}
		all = append(all, connected...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s port %d: %w", rpdb.ProtocolName(addr.Proto), addr.Port, ErrNoListener)
	}
	return all, nil
}

// isTakenAway reports whether DNAT takes the client's requests to the address before the socket receives them.
func (e *Explainer) isTakenAway(l ListeningSocket, link *net.Interface, client, to netip.Addr) bool {
	own, err := net.InterfaceAddrs()
	ofHost := func(a netip.Addr) bool {
		return err != nil || slices.ContainsFunc(own, func(o net.Addr) bool {
			p, _ := netip.ParsePrefix(o.String())
			return p.Addr() == a || a.IsLoopback()
		})
	}
	return e.DNAT.TakesAway(dnat.Request{Proto: l.Proto, From: client, To: to, Port: l.Port, Link: link.Name, LinkID: link.Index, IsOfHost: ofHost})
}

// hasSocketAt reports whether a socket is bound to the address: the kernel prefers it to one on the wildcard address.
func hasSocketAt(sockets []rtnl.Socket, port uint16, a netip.Addr) bool {
	return slices.ContainsFunc(sockets, func(s rtnl.Socket) bool { return s.Port == port && s.Addr.Unmap() == a })
}

// replies returns the replies to requests for which the kernel selects no more specific socket.
func (e *Explainer) replies(ctx context.Context, l ListeningSocket, clients map[uplinks.Family]netip.Addr, shadowed func(netip.Addr) bool) (all []Reply, err error) {
	own, err := e.uplinkAddrs()
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		client := clients[uplinks.FamilyOf(o.addr)]
		if !l.Accepts(o.addr, o.link.Index) || shadowed(o.addr) || e.isTakenAway(l, o.link, client, o.addr) {
			continue
		}
		r, err := e.reply(ctx, l, o.uplink, o.addr, client)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// uplinkAddr is an address of an uplink.
type uplinkAddr struct {
	uplink uplinks.Uplink
	link   *net.Interface
	addr   netip.Addr
}

// uplinkAddrs returns the addresses of the uplinks, in those families in which they have a gateway.
func (e *Explainer) uplinkAddrs() (all []uplinkAddr, err error) {
	for _, u := range e.settings.Uplinks {
		link, err := net.InterfaceByName(u.Link)
		if err != nil {
			continue // the link does not exist
		}
		addrs, err := link.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", u.Link, err)
		}
		for _, text := range addrs {
			p, err := netip.ParsePrefix(text.String())
			if a := p.Addr(); err == nil && !a.IsLinkLocalUnicast() && u.Gateway(uplinks.FamilyOf(a)) != (uplinks.Gateway{}) {
				all = append(all, uplinkAddr{u, link, a})
			}
		}
	}
	return all, nil
}

// reply traces the reply to a request to an address of the uplink. The connection has the uplink's mark. A reply gets it only
// if its source is the address that received the request: otherwise conntrack does not recognize it.
func (e *Explainer) reply(ctx context.Context, l ListeningSocket, u uplinks.Uplink, to, client netip.Addr) (r Reply, err error) {
	p := rpdb.Packet{Family: uplinks.FamilyOf(to), To: client, Proto: l.Proto, Sport: l.Port, UID: l.UID}
	if l.Link != 0 {
		p.Out = u.Link
	}
	r = Reply{Uplink: u, To: to, From: to}
	if l.KernelSource && !e.helps(l, to) {
		if r.Trace, err = e.Trace(ctx, p); err != nil {
			return r, err
		}
		r.From = netip.Addr{}
		if chosen := r.Trace.Resolved.Route; chosen != nil {
			r.From = chosen.Src
		}
		if r.From != to {
			return r, nil
		}
	}
	p.From, p.Mark = to, uint32(e.settings.Mark(u))
	r.Trace, err = e.Trace(ctx, p)
	r.Symmetric = e.leavesBy(r.Trace, u)
	return r, err
}

// helps reports whether the programs of [udp] choose the address as the source of replies to requests that were sent to it.
func (e *Explainer) helps(l ListeningSocket, asked netip.Addr) bool {
	pid, err := strconv.Atoi(l.PID)
	return l.KernelSource && l.Proto == rpdb.UDP && !l.Peer.IsValid() && err == nil && e.UDP.Helps(pid, asked)
}

// AnyAsymmetric reports whether any reply is not symmetric.
func AnyAsymmetric(all []ListeningSocket) bool {
	return slices.ContainsFunc(all, func(l ListeningSocket) bool {
		return slices.ContainsFunc(l.Replies, func(r Reply) bool { return !r.Symmetric })
	})
}
