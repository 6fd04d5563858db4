package rtnl

import (
	"errors"
	"fmt"
	"syscall"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"golang.org/x/sys/unix"
)

// LookUpRoute makes the kernel look up the route of the packet (RTM_GETROUTE). The database has the links. match is the
// route as it stands in its table, chosen the result for this packet: one next hop, and the source address that the kernel
// selects. An error number of the kernel is part of the answer and not an err.
func (h *Handle) LookUpRoute(d *rpdb.Database, p rpdb.Packet) (match, chosen rpdb.Answer, err error) {
	g, err := OpenRouteGetter()
	if err != nil {
		return match, chosen, fmt.Errorf("query the route to %s: %w", p, err)
	}
	defer g.Close()
	if match, err = g.getRoute(d, p, unix.RTM_F_FIB_MATCH|unix.RTM_F_LOOKUP_TABLE); err != nil {
		return match, chosen, err
	}
	chosen, err = g.getRoute(d, p, unix.RTM_F_LOOKUP_TABLE)
	return match, chosen, err
}

// getRoute makes one look-up with the flags (RTM_F_*).
func (g *RouteGetter) getRoute(d *rpdb.Database, p rpdb.Packet, flags uint32) (a rpdb.Answer, err error) {
	for _, link := range []string{p.In, p.Out} {
		if _, ok := d.Links[link]; link != "" && !ok {
			return a, fmt.Errorf("there is no link %s", link)
		}
	}
	q := uplinks.RouteQuery{From: p.From, To: p.To, Mark: marks.Mark(p.Mark), IIF: d.Links[p.In].Index,
		Flow: uplinks.Flow{Proto: p.Proto, Sport: p.Sport, Dport: p.Dport, TOS: p.TOS, UID: p.UID}}
	reply, err := g.ask(q, d.Links[p.Out].Index, flags)
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno) && !queryErrors[errno]:
		return rpdb.Answer{Error: errno}, nil
	case err != nil:
		return a, fmt.Errorf("query the route to %s: %w", p, err)
	}
	raw, err := parseRoute(reply, p.Family)
	r := toPolicyRoute(&raw, d.LinkNames())
	return rpdb.Answer{Route: &r}, err
}

// queryErrors are error numbers that are about the query, not about the route.
var queryErrors = map[syscall.Errno]bool{unix.EOPNOTSUPP: true, unix.EPERM: true, unix.ENODEV: true, unix.ENOBUFS: true}
