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

// Pinned is a connection, and the way of its answers.
type Pinned struct {
	rtnl.Connection
	Uplink string // that its mark belongs to; empty: it has no mark of ours
	Own    bool   // this host has begun it: the way is that of its own packets, not of answers
	Way    Way
}

// Flow finds a connection by one of its directions, and explains the way of its answers.
func (e *Explainer) Flow(ctx context.Context, f rtnl.Flow) (c Pinned, err error) {
	c.Connection, err = rtnl.Find(f)
	if errors.Is(err, rtnl.ErrNoConnection) {
		c.Connection, err = rtnl.Find(rtnl.Flow{Proto: f.Proto, From: f.To, To: f.From})
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", FlowText(f), err)
	}
	for _, u := range e.settings.Uplinks {
		if uint32(e.settings.Mark(u)) == c.Mark&uint32(e.settings.Mask) {
			c.Uplink = u.Name
		}
	}
	p, err := e.answer(ctx, &c)
	if err != nil {
		return c, err
	}
	c.Way, err = e.Way(ctx, p)
	return c, err
}

// answer is the next packet of the connection that leaves, as the routing decision sees it: what is translated back in
// PREROUTING is so already, and what is translated back in POSTROUTING not yet.
func (e *Explainer) answer(ctx context.Context, c *Pinned) (rpdb.Packet, error) {
	asked, answers := c.Original, c.Reply
	p := rpdb.Packet{Family: uplinks.FamilyOf(asked.From.Addr()), Proto: asked.Proto, Mark: c.Mark & uint32(e.settings.Mask),
		From: answers.From.Addr(), To: asked.From.Addr(), Sport: answers.From.Port(), Dport: asked.From.Port()}
	if !rpdb.HasPorts(p.Proto) {
		p.Sport, p.Dport = 0, 0
	}
	begun, err := e.Way(ctx, rpdb.Packet{Family: p.Family, To: asked.From.Addr(), Proto: rpdb.UDP})
	if err != nil {
		return p, err
	}
	if begun.local() {
		c.Own = true
		p.From, p.To, p.Sport, p.Dport = p.To, answers.From.Addr(), p.Dport, p.Sport
		return p, nil
	}
	server, err := e.Way(ctx, rpdb.Packet{Family: p.Family, To: p.From, Mark: p.Mark, Proto: rpdb.UDP})
	if err != nil || server.local() {
		return p, err
	}
	p.In = server.Link()
	return p, nil
}

// local reports whether the packet is for the host itself.
func (w Way) local() bool {
	return w.Judgement.Route != nil && w.Judgement.Route.Type == rpdb.Local
}

// Strays reports whether the connection's packets leave by another uplink than the one that it is pinned to.
func (e *Explainer) Strays(c Pinned) bool {
	u, ok := e.uplink(c.Way.Link())
	return c.Uplink != "" && ok && u.Name != c.Uplink
}

// PrintFlow prints a connection and the way of its answers for people.
func (e *Explainer) PrintFlow(out io.Writer, c Pinned) error {
	fmt.Fprintf(out, "connection: %s%s, forgotten in %s if nothing comes\n", FlowText(c.Original), c.state(), c.Timeout)
	back := rtnl.Flow{Proto: c.Original.Proto, From: c.Original.To, To: c.Original.From}
	if c.Reply != back && rpdb.HasPorts(back.Proto) {
		fmt.Fprintf(out, "translated: its answers are %s\n", FlowText(c.Reply))
	}
	fmt.Fprintf(out, "mark: %#x, %s\n", c.Mark, e.pin(c))
	what := "the way of its answers"
	if c.Own {
		what = "this host has begun it: the way of its packets"
	}
	fmt.Fprintf(out, "%s:\n", what)
	if err := e.Print(out, c.Way); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, e.verdict(c))
	return err
}

func (c Pinned) state() string {
	switch {
	case c.State != "":
		return ", " + c.State
	case !c.Answered:
		return ", not answered yet"
	}
	return ""
}

// pin is whose mark the connection has.
func (e *Explainer) pin(c Pinned) string {
	switch {
	case c.Uplink != "":
		return "pinned to the uplink " + c.Uplink
	case c.Mark&uint32(e.settings.Mask) != 0:
		return "of no uplink that is configured"
	}
	return "pinned to no uplink"
}

func (e *Explainer) verdict(c Pinned) string {
	link := c.Way.Link()
	u, ok := e.uplink(link)
	switch {
	case e.Strays(c):
		return fmt.Sprintf("they STRAY: pinned to %s, they leave by %s", c.Uplink, u.Name)
	case link == "":
		return "they do not leave this host"
	case c.Uplink != "" && ok:
		return "that is right: it is the uplink that the connection is pinned to"
	}
	return "no uplink is wronged"
}

// FlowText prints one direction of a connection as Flow reads it.
func FlowText(f rtnl.Flow) string {
	if !rpdb.HasPorts(f.Proto) {
		return fmt.Sprintf("%s %s %s", rpdb.ProtocolName(f.Proto), f.From.Addr(), f.To.Addr())
	}
	return fmt.Sprintf("%s %s %s", rpdb.ProtocolName(f.Proto), f.From, f.To)
}
