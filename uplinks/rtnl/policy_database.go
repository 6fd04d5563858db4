package rtnl

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// PolicyDatabase reads the rules of the family, and from all tables the routes that match one of the destinations, so that a
// full routing table stays out of memory. It reads no sysctls: see procfs.ReadInputChecks.
func (h *Handle) PolicyDatabase(ctx context.Context, f uplinks.Family, destinations ...netip.Addr) (*rpdb.Database, error) {
	d := &rpdb.Database{Family: f, Links: map[string]rpdb.Link{}}
	if err := h.policyLinks(ctx, d); err != nil {
		return nil, err
	}
	names := d.LinkNames()
	if err := h.readPolicyRules(ctx, d); err != nil {
		return nil, err
	}
	if err := h.readTables(ctx, d, names, destinations); err != nil {
		return nil, err
	}
	if f == uplinks.IPv6 {
		return d, h.markFailedGateways(ctx, d, names)
	}
	return d, nil
}

// policyLinks reads the links with their VRFs.
func (h *Handle) policyLinks(ctx context.Context, d *rpdb.Database) error {
	links, err := h.listLinks(ctx)
	if err != nil {
		return err
	}
	names, tables := map[int]string{}, map[string]uplinks.Table{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
		if vrf, ok := l.(*netlink.Vrf); ok {
			tables[vrf.Name] = uplinks.Table(vrf.Table)
		}
	}
	addresses, err := h.readAddresses(ctx, 0)
	if err != nil {
		return err
	}
	for _, l := range links {
		a := l.Attrs()
		link := rpdb.Link{Index: a.Index, Group: uplinks.Group(a.Group), VRFTable: tables[a.Name]}
		if _, vrf := tables[names[a.MasterIndex]]; vrf {
			link.VRF = names[a.MasterIndex]
		}
		if link.VRFTable != 0 {
			link.VRF = a.Name
		}
		link.Checks.Addressed = slices.ContainsFunc(addresses[a.Index], func(a uplinks.Addr) bool { return a.Prefix.Addr().Is4() })
		d.Links[a.Name] = link
	}
	return nil
}

// PolicyRules returns the rules of all programs in the order of their evaluation.
func (h *Handle) PolicyRules(ctx context.Context, f uplinks.Family) ([]rpdb.Rule, error) {
	d := &rpdb.Database{Family: f}
	err := h.readPolicyRules(ctx, d)
	return d.Rules, err
}

// readPolicyRules reads the rules in the order of their evaluation.
func (h *Handle) readPolicyRules(ctx context.Context, d *rpdb.Database) error {
	rules, err := h.listRules(ctx, d.Family)
	for i := range rules {
		d.Rules = append(d.Rules, rules[i].Rule)
	}
	return err
}

// forEachReply executes the request and calls handle for each message of the type in the answer. It stops at the first error
// of handle.
func forEachReply(req *nl.NetlinkRequest, messageType uint16, handle func([]byte) error) (err error) {
	executeErr := req.ExecuteIter(unix.NETLINK_ROUTE, messageType, func(m []byte) bool {
		err = handle(m)
		return err == nil
	})
	if err != nil {
		return err
	}
	return executeErr
}

// readTables reads the routes that match one of the destinations.
func (h *Handle) readTables(ctx context.Context, d *rpdb.Database, names map[int]string, destinations []netip.Addr) error {
	var all []rawRoute
	err := h.listRoutes(ctx, d.Family, routeQuery{}, func() { all = nil }, func(r *rawRoute) error {
		if slices.ContainsFunc(destinations, r.dst.Contains) {
			all = append(all, *r)
		}
		return nil
	})
	if err == nil {
		_, err = resolveNexthops(ctx, all)
	}
	d.Tables = map[uplinks.Table][]rpdb.Route{}
	for i := range all {
		d.Tables[all[i].table] = append(d.Tables[all[i].table], toPolicyRoute(&all[i], names))
	}
	return err
}

// markFailedGateways marks the next hops by IPv6 gateways whose neighbour entry has failed: a host that is no router avoids
// them.
func (h *Handle) markFailedGateways(ctx context.Context, d *rpdb.Database, names map[int]string) error {
	neighbours, err := h.listNeighbours(ctx, unix.AF_INET6)
	if err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, n := range neighbours {
		if n.State&egress.Failed != 0 {
			failed[fmt.Sprint(names[n.Link], " ", n.Addr)] = true
		}
	}
	for _, routes := range d.Tables {
		for _, r := range routes {
			for i, hop := range r.Hops {
				r.Hops[i].Failed = failed[fmt.Sprint(hop.Link, " ", hop.Via)]
			}
		}
	}
	return nil
}
