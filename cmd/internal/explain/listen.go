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

// Ear is what to look for: who listens on a port.
type Ear struct {
	Proto uint8
	Addr  netip.Addr // not valid: on any address
	Port  uint16
}

// Listening is a socket that waits for questions, and how it would answer them.
type Listening struct {
	rtnl.Socket
	Proto   uint8
	Process string // not known when empty
	PID     string
	Told    bool // the process asks at which address it is asked (IP_PKTINFO), to answer from there
	Unsure  bool // whether it does could not be seen
	Chooses bool // the kernel chooses the source of its answers, as far as it can be seen
	Answers []Reply
}

// Reply is an answer to a question that came in by an uplink.
type Reply struct {
	Uplink uplinks.Uplink
	Asked  netip.Addr
	From   netip.Addr
	Way    Way
	Right  bool // from the address that was asked, and by the uplink
}

// ErrNobodyListens is the error of an Ear that nobody has.
var ErrNobodyListens = errors.New("nobody listens there")

// Listen tells for each socket that listens there how it would answer questions of the clients, by each uplink.
func (e *Explainer) Listen(ctx context.Context, ear Ear, clients map[uplinks.Family]netip.Addr) (all []Listening, err error) {
	if len(e.settings.Uplinks) == 0 {
		return nil, errors.New("there is no configuration with uplinks that questions could come in by: replypath init --write")
	}
	sockets, err := rtnl.Sockets(ctx, ear.Proto)
	if err != nil {
		return nil, err
	}
	var processes holders
	processes.by, processes.whole = procfs.Holders()
	for _, s := range sockets {
		if s.Port != ear.Port || ear.Addr.IsValid() && ear.Addr != s.Addr.Unmap() {
			continue
		}
		l := processes.listening(s, ear.Proto)
		closer := func(a netip.Addr) bool { return s.Addr.IsUnspecified() && bound(sockets, s.Port, a) }
		if l.Answers, err = e.answers(ctx, l, clients, closer); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s port %d: %w", rpdb.ProtocolName(ear.Proto), ear.Port, ErrNobodyListens)
	}
	return all, nil
}

// bound reports whether a socket is bound to the address: the kernel prefers it to one for any address.
func bound(sockets []rtnl.Socket, port uint16, a netip.Addr) bool {
	return slices.ContainsFunc(sockets, func(s rtnl.Socket) bool { return s.Port == port && s.Addr.Unmap() == a })
}

// answers are those to questions that no socket is closer to.
func (e *Explainer) answers(ctx context.Context, l Listening, clients map[uplinks.Family]netip.Addr, closer func(netip.Addr) bool) (all []Reply, err error) {
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
			if err != nil || a.IsLinkLocalUnicast() || u.Gateway(uplinks.FamilyOf(a)) == (uplinks.Gateway{}) || !l.Hears(a, link.Index) || closer(a) {
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
func (e *Explainer) reply(ctx context.Context, l Listening, u uplinks.Uplink, asked, client netip.Addr) (r Reply, err error) {
	p := rpdb.Packet{Family: uplinks.FamilyOf(asked), To: client, Proto: l.Proto, Sport: l.Port, UID: l.UID}
	if l.Link != 0 {
		p.Out = u.Link
	}
	r = Reply{Uplink: u, Asked: asked, From: asked}
	if l.Chooses {
		if r.Way, err = e.Way(ctx, p); err != nil {
			return r, err
		}
		r.From = netip.Addr{}
		if chosen := r.Way.Chosen.Route; chosen != nil {
			r.From = chosen.Src
		}
		if r.From != asked {
			return r, nil
		}
	}
	p.From, p.Mark = asked, uint32(e.settings.Mark(u))
	r.Way, err = e.Way(ctx, p)
	r.Right = r.Way.Link() == u.Link
	return r, err
}

// Wrong reports whether a question is answered wrongly.
func Wrong(all []Listening) bool {
	return slices.ContainsFunc(all, func(l Listening) bool {
		return slices.ContainsFunc(l.Answers, func(r Reply) bool { return !r.Right })
	})
}
