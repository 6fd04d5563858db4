package explain

import (
	"context"
	"errors"
	"fmt"
	"io"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// Flow is a connection and the trace of its replies.
type Flow struct {
	rtnl.Connection
	Uplink     string // of the connection's mark; empty if it has none of an uplink
	Originated bool   // opened by this host: Trace is that of its own packets
	Trace      Trace
	ToProxy    bool          // a transparent proxy has taken it
	Proxy      *Interception // that one, if it is configured
}

// TraceFlow finds a connection by one of its directions and traces its replies.
func (e *Explainer) TraceFlow(ctx context.Context, f rtnl.Flow) (c Flow, err error) {
	c.Connection, err = rtnl.FindConnection(f)
	if errors.Is(err, rtnl.ErrNoConnection) {
		c.Connection, err = rtnl.FindConnection(rtnl.Flow{Proto: f.Proto, From: f.To, To: f.From})
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", FormatFlow(f), err)
	}
	for _, u := range e.settings.Uplinks {
		if uint32(e.settings.Mark(u)) == c.Mark&uint32(e.settings.Mask) {
			c.Uplink = u.Name
		}
	}
	p, err := e.replyPacket(ctx, &c)
	if err != nil {
		return c, err
	}
	c.Trace, err = e.Trace(ctx, p)
	return c, err
}

// replyPacket returns the next outgoing packet of the connection as seen by the routing decision: after NAT in PREROUTING
// and before NAT in POSTROUTING.
func (e *Explainer) replyPacket(ctx context.Context, c *Flow) (rpdb.Packet, error) {
	original, reply := c.Original, c.Reply
	p := rpdb.Packet{Family: uplinks.FamilyOf(original.From.Addr()), Proto: original.Proto, Mark: c.Mark & uint32(e.settings.Mask),
		From: reply.From.Addr(), To: original.From.Addr(), Sport: reply.From.Port(), Dport: original.From.Port()}
	if !rpdb.HasPorts(p.Proto) {
		p.Sport, p.Dport = 0, 0
	}
	server, client, err := e.proxyEnds(c.Connection)
	if err != nil {
		return p, err
	}
	if server { // the proxy answers from the address that was asked
		if c.Proxy, err = e.proxyOfFlow(ctx, *c); err != nil {
			return p, err
		}
		// Of datagrams only the configuration tells which end is the proxy's.
		c.ToProxy = c.Proxy != nil || p.Proto == rpdb.TCP
		if c.ToProxy {
			return p, nil
		}
		client = true
	}
	initiator, err := e.Trace(ctx, rpdb.Packet{Family: p.Family, To: original.From.Addr(), Proto: rpdb.UDP})
	if err != nil {
		return p, err
	}
	if client || initiator.isLocal() {
		c.Originated = true
		p.From, p.To, p.Sport, p.Dport = p.To, reply.From.Addr(), p.Dport, p.Sport
		return p, nil
	}
	toServer, err := e.Trace(ctx, rpdb.Packet{Family: p.Family, To: p.From, Mark: p.Mark, Proto: rpdb.UDP})
	if err != nil || toServer.isLocal() {
		return p, err
	}
	p.In = toServer.Link()
	return p, nil
}

// isLocal reports whether the packet is delivered locally.
func (w Trace) isLocal() bool {
	return w.Result.Route != nil && w.Result.Route.Type == rpdb.Local
}

// Strays reports whether the replies leave by another uplink than that of the connection's mark.
func (e *Explainer) Strays(c Flow) bool {
	u, ok := e.egressUplink(c.Trace)
	return c.Uplink != "" && ok && u.Name != c.Uplink
}

// PrintFlow prints a connection and the trace of its replies as text.
func (e *Explainer) PrintFlow(out io.Writer, c Flow) error {
	fmt.Fprintf(out, "connection: %s%s, expires in %s without traffic\n", FormatFlow(c.Original), c.stateText(), c.Timeout)
	back := rtnl.Flow{Proto: c.Original.Proto, From: c.Original.To, To: c.Original.From}
	if c.Reply != back && rpdb.HasPorts(back.Proto) {
		fmt.Fprintf(out, "NAT: its replies are %s\n", FormatFlow(c.Reply))
	}
	fmt.Fprintf(out, "mark: %#x, %s\n", c.Mark, e.pinText(c))
	switch {
	case c.Proxy != nil:
		fmt.Fprintf(out, "intercepted: by %s, the proxy on %s has taken it\n", c.Proxy.Intercept, c.Proxy.Proxy)
	case c.ToProxy:
		fmt.Fprintln(out, "intercepted: a proxy on this host has taken it, for an intercept that is not configured")
	}
	if c.Offloaded {
		fmt.Fprintln(out, "accelerated: its packets go by a flow table, as long as the routes and rules are those by which it entered")
	}
	if c.Originated {
		fmt.Fprintln(out, "opened by this host; its packets:")
	} else {
		fmt.Fprintln(out, "its replies:")
	}
	if err := e.Print(out, c.Trace); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, e.flowVerdict(c))
	return err
}

func (c Flow) stateText() string {
	switch {
	case c.State != "":
		return ", " + c.State
	case !c.SeenReply:
		return ", no reply seen yet"
	}
	return ""
}

// pinText names the uplink of the connection's mark.
func (e *Explainer) pinText(c Flow) string {
	switch {
	case c.Uplink != "" && e.settings.Outbound.Enabled() && c.Mark&uint32(e.settings.OutboundFlag()) != 0:
		return "of uplink " + c.Uplink + ", which it keeps: it began inside"
	case c.Uplink != "":
		return "of uplink " + c.Uplink
	case c.Mark&uint32(e.settings.Mask) != 0:
		return "of no configured uplink"
	}
	return "not of an uplink"
}

func (e *Explainer) flowVerdict(c Flow) string {
	link := c.Trace.Link()
	u, ok := e.egressUplink(c.Trace)
	switch {
	case e.Strays(c):
		return fmt.Sprintf("they STRAY: they leave by %s instead of %s", u.Name, c.Uplink)
	case link == "":
		return "they do not leave this host"
	case c.Uplink != "" && ok:
		return "right: they leave by the connection's uplink"
	}
	if c.Uplink != "" {
		return fmt.Sprintf("they leave by %s, which is not an uplink", link)
	}
	return "the connection belongs to no uplink"
}

// FormatFlow formats one direction of a connection as protocol, source and destination.
func FormatFlow(f rtnl.Flow) string {
	if !rpdb.HasPorts(f.Proto) {
		return fmt.Sprintf("%s %s %s", rpdb.ProtocolName(f.Proto), f.From.Addr(), f.To.Addr())
	}
	return fmt.Sprintf("%s %s %s", rpdb.ProtocolName(f.Proto), f.From, f.To)
}
