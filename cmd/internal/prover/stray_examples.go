package prover

import (
	"context"
	"fmt"
	"strings"

	"replypath/health"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// The bounds of StrayExamples.
const (
	maxConnections = 256 // that are read, and looked up
	maxExamples    = 3
)

// StrayExamples returns connections of the path whose replies the kernel routes by another interface now, with that interface, as
// text; empty: it finds none.
func (Prover) StrayExamples(ctx context.Context, p health.Path) (string, error) {
	connections, err := rtnl.ConnectionsWithMark(ctx, rtnl.MarkFilter{Family: p.Family, Mark: p.Mark, Mask: p.Mask}, maxConnections)
	if err != nil || len(connections) == 0 {
		return "", err
	}
	links, err := rtnl.Open(0)
	if err != nil {
		return "", err
	}
	defer links.Close()
	db, err := links.PolicyDatabase(ctx, p.Family)
	if err != nil {
		return "", err
	}
	var examples []string
	for _, c := range connections {
		if !c.SeenReply || len(examples) == maxExamples {
			continue
		}
		if link := replyLink(links, db, c, p); link != "" && link != p.Link {
			f := c.Original
			examples = append(examples, fmt.Sprintf("%s %s %s by %s", rpdb.ProtocolName(f.Proto), f.From, f.To, link))
		}
	}
	return strings.Join(examples, ", "), nil
}

// replyLink returns the interface by which the kernel routes replies of the connection, or "" when it does not tell.
func replyLink(links *rtnl.Handle, db *rpdb.Database, c rtnl.Connection, p health.Path) string {
	packet := rpdb.Packet{Family: p.Family, From: c.Reply.From.Addr(), To: c.Original.From.Addr(), Mark: uint32(p.Mark), Proto: c.Original.Proto}
	if rpdb.HasPorts(packet.Proto) {
		packet.Sport, packet.Dport = c.Reply.From.Port(), c.Original.From.Port()
	}
	_, server, err := links.LookUpRoute(db, rpdb.Packet{Family: p.Family, To: packet.From, Proto: rpdb.UDP})
	if err != nil || server.Route == nil {
		return ""
	}
	if server.Route.Type != rpdb.Local {
		packet.In = linkOf(server)
	}
	_, reply, err := links.LookUpRoute(db, packet.Query())
	if err != nil {
		return ""
	}
	return linkOf(reply)
}

// linkOf returns the interface of an answer with one next hop, or "". A packet to this host, as of a connection that it opened
// itself, has none.
func linkOf(a rpdb.Answer) string {
	if a.Route == nil || a.Route.Type == rpdb.Local || len(a.Route.Hops) != 1 {
		return ""
	}
	return a.Route.Hops[0].Link
}
