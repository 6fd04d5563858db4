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

// StrayExamples returns connections of the path whose replies the kernel routes by another interface now, or by another router of a shared one,
// with that, as text; empty: it finds none.
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
		if other := otherEgress(replyHop(links, db, c, p), p); other != "" {
			f := c.Original
			examples = append(examples, fmt.Sprintf("%s %s %s by %s", rpdb.ProtocolName(f.Proto), f.From, f.To, other))
		}
	}
	return strings.Join(examples, ", "), nil
}

// otherEgress returns the interface of the next hop, or on a shared link the router, where that is not the path's; else "".
func otherEgress(hop rpdb.Hop, p health.Path) string {
	switch {
	case hop.Link == "" || hop.Link != p.Link:
		return hop.Link
	case p.SharedLink && p.Gateway.IsValid() && hop.Via.IsValid() && hop.Via.WithZone("") != p.Gateway:
		return fmt.Sprintf("%s via %s", hop.Link, hop.Via)
	}
	return ""
}

// replyHop returns the next hop by which the kernel routes replies of the connection, or none when it does not tell.
func replyHop(links *rtnl.Handle, db *rpdb.Database, c rtnl.Connection, p health.Path) rpdb.Hop {
	packet := rpdb.Packet{Family: p.Family, From: c.Reply.From.Addr(), To: c.Original.From.Addr(), Mark: uint32(p.Mark), Proto: c.Original.Proto}
	if rpdb.HasPorts(packet.Proto) {
		packet.Sport, packet.Dport = c.Reply.From.Port(), c.Original.From.Port()
	}
	_, server, err := links.LookUpRoute(db, rpdb.Packet{Family: p.Family, To: packet.From, Proto: rpdb.UDP})
	if err != nil || server.Route == nil {
		return rpdb.Hop{}
	}
	if server.Route.Type != rpdb.Local {
		packet.In = hopOf(server).Link
	}
	_, reply, err := links.LookUpRoute(db, packet.Query())
	if err != nil {
		return rpdb.Hop{}
	}
	return hopOf(reply)
}

// hopOf returns the next hop of an answer that has one, or none. A packet to this host, as of a connection that it opened itself, has
// none.
func hopOf(a rpdb.Answer) rpdb.Hop {
	if a.Route == nil || a.Route.Type == rpdb.Local || len(a.Route.Hops) != 1 {
		return rpdb.Hop{}
	}
	return a.Route.Hops[0]
}
