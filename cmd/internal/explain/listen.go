package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// ListenAddr is what to look for: who listens on a port.
type ListenAddr struct {
	Proto uint8
	Addr  netip.Addr // not valid: on any address
	Port  uint16
}

// ListeningSocket is a socket that waits for questions, and how it would answer them.
type ListeningSocket struct {
	rtnl.Socket
	Proto          uint8
	Process        string // not known when empty
	PID            string
	PktInfo        bool // the process asks at which address it is asked (IP_PKTINFO), to answer from there
	PktInfoUnknown bool // whether it does could not be seen
	KernelSource   bool // the kernel chooses the source of its answers, as far as it can be seen
	Replies        []Reply
}

// Reply is an answer to a question that came in by an uplink.
type Reply struct {
	Uplink    uplinks.Uplink
	To        netip.Addr
	From      netip.Addr
	Trace     Trace
	Symmetric bool // from the address that was asked, and by the uplink
}

// ErrNoListener is the error of an Ear that nobody has.
var ErrNoListener = errors.New("nobody listens there")

// TraceReplies tells for each socket that listens there how it would answer questions of the clients, by each uplink.
func (e *Explainer) TraceReplies(ctx context.Context, addr ListenAddr, clients map[uplinks.Family]netip.Addr) (all []ListeningSocket, err error) {
	if len(e.settings.Uplinks) == 0 {
		return nil, errors.New("there is no configuration with uplinks that questions could come in by: replypath init --write")
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
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s port %d: %w", rpdb.ProtocolName(addr.Proto), addr.Port, ErrNoListener)
	}
	return all, nil
}

// hasSocketAt reports whether a socket is bound to the address: the kernel prefers it to one for any address.
func hasSocketAt(sockets []rtnl.Socket, port uint16, a netip.Addr) bool {
	return slices.ContainsFunc(sockets, func(s rtnl.Socket) bool { return s.Port == port && s.Addr.Unmap() == a })
}

// replies are those to questions that no socket is closer to.
func (e *Explainer) replies(ctx context.Context, l ListeningSocket, clients map[uplinks.Family]netip.Addr, shadowed func(netip.Addr) bool) (all []Reply, err error) {
	for _, u := range e.settings.Uplinks {
		link, err := net.InterfaceByName(u.Link)
		if err != nil {
			continue // an uplink that is absent asks nothing
		}
		addrs, err := link.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", u.Link, err)
		}
		for _, text := range addrs {
			p, err := netip.ParsePrefix(text.String())
			a := p.Addr()
			if err != nil || a.IsLinkLocalUnicast() || u.Gateway(uplinks.FamilyOf(a)) == (uplinks.Gateway{}) || !l.Accepts(a, link.Index) || shadowed(a) {
				continue
			}
			r, err := e.reply(ctx, l, u, a, clients[uplinks.FamilyOf(a)])
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// reply is the answer to a question at an address of the uplink. Its connection has the uplink's mark, which an answer
// gets if it is known by its addresses to belong to it.
func (e *Explainer) reply(ctx context.Context, l ListeningSocket, u uplinks.Uplink, to, client netip.Addr) (r Reply, err error) {
	p := rpdb.Packet{Family: uplinks.FamilyOf(to), To: client, Proto: l.Proto, Sport: l.Port, UID: l.UID}
	if l.Link != 0 {
		p.Out = u.Link
	}
	r = Reply{Uplink: u, To: to, From: to}
	if l.KernelSource {
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
	r.Symmetric = r.Trace.Link() == u.Link
	return r, err
}

// AnyAsymmetric reports whether a question is answered wrongly.
func AnyAsymmetric(all []ListeningSocket) bool {
	return slices.ContainsFunc(all, func(l ListeningSocket) bool {
		return slices.ContainsFunc(l.Replies, func(r Reply) bool { return !r.Symmetric })
	})
}
