package explain

import (
	"context"
	"fmt"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// Interception is the transparent proxy that a packet is for.
type Interception struct {
	Intercept string // the name of its table
	Proxy     uplinks.Proxy
	State     uplinks.ProxyState
	Drop      bool // packets of new connections are dropped: no proxy takes them
	Mark      marks.Mask
}

// Takes reports whether the proxy takes the packet.
func (i *Interception) Takes() bool { return i != nil && i.State.Takes() }

// Text returns what becomes of the packet, in one line.
func (i *Interception) Text() string {
	switch {
	case i.Takes():
		return fmt.Sprintf("by %s: packet and connection get the mark %s, to the proxy on %s", i.Intercept, i.Mark, i.Proxy)
	case i.State == uplinks.ProxyNotTransparent:
		return fmt.Sprintf("not by %s, whose socket on %s lacks IP_TRANSPARENT: it %s", i.Intercept, i.Proxy, i.without())
	}
	return fmt.Sprintf("not by %s, as no program listens on %s: it %s", i.Intercept, i.Proxy, i.without())
}

func (i *Interception) without() string {
	if i.Drop {
		return "is dropped"
	}
	return "passes"
}

// TraceNew traces the first packet of a connection. If a transparent proxy takes it, it has the mark for that.
func (e *Explainer) TraceNew(ctx context.Context, p rpdb.Packet) (Trace, error) {
	w, err := e.Trace(ctx, p)
	bit := uint32(e.interceptBit())
	if err != nil || bit == 0 || p.In == "" || p.Mark&bit != 0 {
		return w, err
	}
	if route := w.Result.Route; route != nil && (route.Type == rpdb.Broadcast || route.Type == rpdb.Multicast) {
		return w, nil
	}
	i, found := e.settings.InterceptOf(uplinks.InterceptedPacket{Link: p.In, Protocol: rpdb.ProtocolName(p.Proto), From: p.From, To: p.To, Port: p.Dport, ToHost: w.isLocal()})
	if !found {
		return w, nil
	}
	in, err := e.interception(ctx, i, p.Family, rpdb.ProtocolName(p.Proto))
	if err != nil {
		return w, err
	}
	if in.Takes() {
		p.Mark |= bit
		w, err = e.Trace(ctx, p)
	}
	w.Interception = in
	return w, err
}

// interception returns the state of the intercept's proxy.
func (e *Explainer) interception(ctx context.Context, i uplinks.Intercept, f uplinks.Family, proto string) (*Interception, error) {
	p := i.ProxyOf(f, proto)
	state, err := host.LookUpProxy(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("look for the proxy on %s: %w", p, err)
	}
	return &Interception{Intercept: i.Name, Proxy: p, State: state, Drop: i.Without == uplinks.DropNew, Mark: e.interceptBit()}, nil
}

// interceptBit returns the bit of intercepted connections; 0: there are none.
func (e *Explainer) interceptBit() marks.Mask {
	if e.settings.Interception == nil {
		return 0
	}
	return e.settings.Interception.Bit
}

// proxyEnds finds which end of a connection with the bit is that of a proxy on this host: the server's, as the proxy has taken
// the connection, or the client's, as the proxy has opened it with the address of its client.
func (e *Explainer) proxyEnds(c rtnl.Connection) (server, client bool, err error) {
	if c.Mark&uint32(e.interceptBit()) == 0 {
		return false, false, nil
	}
	if c.Original.Proto != rpdb.TCP {
		return true, false, nil // the sockets of datagrams have no peer
	}
	if server, err = rtnl.HasTCPSocket(rtnl.Flow{From: c.Reply.From, To: c.Original.From}); err != nil || server {
		return server, false, err
	}
	client, err = rtnl.HasTCPSocket(rtnl.Flow{From: c.Original.From, To: c.Original.To})
	return false, client, err
}

// proxyOfFlow returns the proxy that has taken the connection, nil if its intercept is not configured any more.
func (e *Explainer) proxyOfFlow(ctx context.Context, c Flow) (*Interception, error) {
	link := ""
	for _, u := range e.settings.Uplinks {
		if u.Name == c.Uplink {
			link = u.Link
		}
	}
	from, to := c.Original.From, c.Original.To
	if link == "" {
		client, err := e.Trace(ctx, rpdb.Packet{Family: uplinks.FamilyOf(from.Addr()), To: from.Addr(), Proto: rpdb.UDP})
		if err != nil {
			return nil, err
		}
		link = client.Link()
	}
	proto := rpdb.ProtocolName(c.Original.Proto)
	i, found := e.settings.InterceptOf(uplinks.InterceptedPacket{Link: link, Protocol: proto, From: from.Addr(), To: to.Addr(), Port: to.Port(), ToHost: false})
	if !found {
		return nil, nil
	}
	return e.interception(ctx, i, uplinks.FamilyOf(from.Addr()), proto)
}
