package rtnl

import (
	"context"
	"errors"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"golang.org/x/sys/unix"
)

// maxForeignTable bounds the routes of a table of another program that are read: a table with more is a full routing table.
const maxForeignTable = 4096

// errManyRoutes ends the dump of a table with more routes.
var errManyRoutes = errors.New("the table is a full routing table")

// refusals are the types of routes that refuse packets.
var refusals = []uplinks.RouteType{uplinks.Blackhole, uplinks.Unreachable, uplinks.Prohibit}

// SpecificRoutes returns the routes of other programs to parts of the Internet by which replies may not leave: all of the given
// tables, those that refuse of main, and those to addresses that the kernel did not add itself of local. Default routes are none.
// A table of more than 4096 routes has none. names has the names of links by index. It uses sockets of its own, as it may leave
// a dump unfinished.
func SpecificRoutes(ctx context.Context, f uplinks.Family, tables []uplinks.Table, names map[int]string) (all []rpdb.Route, err error) {
	queries := []routeQuery{{table: uplinks.LocalTable, kind: uplinks.Local}}
	for _, t := range refusals {
		queries = append(queries, routeQuery{table: uplinks.MainTable, kind: t})
	}
	for _, t := range tables {
		if t != uplinks.MainTable && t != uplinks.LocalTable {
			queries = append(queries, routeQuery{table: t})
		}
	}
	for _, q := range queries {
		routes, err := readSpecificRoutes(ctx, f, q, names)
		switch {
		case errors.Is(err, errManyRoutes), errors.Is(err, unix.ENOENT): // the table is not there
		case err != nil:
			return nil, err
		default:
			all = append(all, routes...)
		}
	}
	return all, nil
}

// readSpecificRoutes reads the routes of one query.
func readSpecificRoutes(ctx context.Context, f uplinks.Family, q routeQuery, names map[int]string) (all []rpdb.Route, err error) {
	h, err := Open(0)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	n := 0
	err = h.listRoutes(ctx, f, q, func() { all, n = nil, 0 }, func(r *rawRoute) error {
		if n++; n > maxForeignTable {
			return errManyRoutes
		}
		if r.isSpecific() && (q.kind == 0 || r.routeType == q.kind) {
			all = append(all, toPolicyRoute(r, names))
		}
		return nil
	})
	return all, err
}

// isSpecific reports whether the route is one of SpecificRoutes. A DHCP client refuses the parts of a delegated prefix that no link
// has (RFC 8415, 6.3): these are no clients'.
func (r *rawRoute) isSpecific() bool {
	switch r.protocol {
	case uplinks.Protocol, unix.RTPROT_KERNEL:
		return false
	case unix.RTPROT_DHCP:
		return !r.isDefault() && r.routeType == uplinks.Unicast
	}
	types := append([]uplinks.RouteType{uplinks.Unicast, uplinks.Local}, refusals...)
	return !r.isDefault() && slices.Contains(types, r.routeType)
}
