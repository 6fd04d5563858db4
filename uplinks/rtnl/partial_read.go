package rtnl

import (
	"context"
	"errors"
	"slices"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ReadScopes reads some links and tables, and nothing else. Other links have their names of the last Read.
func (h *Handle) ReadScopes(ctx context.Context, only []uplinks.Scope, facts *uplinks.Facts, have *uplinks.State) error {
	if !slices.ContainsFunc(only, func(s uplinks.Scope) bool { return s.Link != "" }) {
		if err := h.waitForLinkLock(ctx); err != nil {
			return err
		}
	}
	for _, s := range only {
		if s.Link == "" {
			continue
		}
		if err := h.readLink(ctx, s.Link, facts, have); err != nil {
			return err
		}
	}
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !facts.IPv6 {
			continue
		}
		for name, l := range facts.Links {
			if err := h.readLinkRoutes(ctx, f, l, facts); errors.Is(err, unix.ENODEV) {
				delete(facts.Links, name) // it was deleted meanwhile
			} else if err != nil {
				return err
			}
		}
		for _, s := range only {
			if s.Table == 0 {
				continue
			}
			if err := h.readTable(ctx, f, routeQuery{table: s.Table}, nil, have); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitForLinkLock waits until the change behind an event is complete. The kernel announces the deletion of an IPv4 route
// just before it happens (net/ipv4/fib_trie.c, fib_table_delete), and holds its RTNL lock meanwhile. A query of a link waits
// for that lock, a dump of routes does not.
func (h *Handle) waitForLinkLock(ctx context.Context) error {
	_, err := h.findLink(ctx, "lo")
	return err
}

// readLinkRoutes reads the routes by a link in main and in the tables where it had a default route at the last Read: all
// tables together may hold a hundred times as many. No packet takes the routes of a link that is down.
func (h *Handle) readLinkRoutes(ctx context.Context, f uplinks.Family, l uplinks.Link, facts *uplinks.Facts) error {
	if !l.Up {
		return nil
	}
	for _, t := range append([]uplinks.Table{uplinks.MainTable}, h.defaultTables[l.Index]...) {
		if err := h.readTable(ctx, f, routeQuery{table: t, link: l.Index}, facts, nil); err != nil {
			return err
		}
	}
	return nil
}

// readTable reads the routes of one table. A table that never had a route does not exist (ENOENT) and has none.
func (h *Handle) readTable(ctx context.Context, f uplinks.Family, query routeQuery, facts *uplinks.Facts, have *uplinks.State) error {
	err := h.readRoutes(ctx, f, query, facts, have)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// rememberDefaultTable saves for readLinkRoutes that the links of the default route have one in its table. Of a link that is down too: a
// route with the scope of a host stays (net/ipv4/fib_semantics.c, fib_sync_down_dev), and no event tells that the link uses it again.
func (h *Handle) rememberDefaultTable(r *rawRoute) {
	if !r.isDefault() || r.table == uplinks.MainTable {
		return
	}
	for hop := range r.hops() {
		if !slices.Contains(h.defaultTables[hop.link], r.table) {
			h.defaultTables[hop.link] = append(h.defaultTables[hop.link], r.table)
		}
	}
}

// readLink reads the link, unless it does not exist or has been read.
func (h *Handle) readLink(ctx context.Context, name string, facts *uplinks.Facts, have *uplinks.State) error {
	if _, known := facts.Links[name]; known {
		return nil
	}
	l, err := h.findLink(ctx, name)
	if l == nil || err != nil {
		return err
	}
	addresses, err := h.readAddresses(ctx, l.Attrs().Index)
	if err != nil {
		return err
	}
	h.addLink(facts, have, l, addresses)
	return nil
}

// findLink returns the link, or nil when it does not exist.
func (h *Handle) findLink(ctx context.Context, name string) (l netlink.Link, err error) {
	err = dump(ctx, "link "+name, func() (err error) { l, err = h.linkByName(name); return err })
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	return l, err
}
