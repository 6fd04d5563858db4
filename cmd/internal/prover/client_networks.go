package prover

import (
	"context"
	"slices"
	"time"

	"replypath/health/proof"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// foreignRoutes are what other programs have for parts of the Internet.
type foreignRoutes struct {
	routes   map[uplinks.Family][]rpdb.Route
	policies []egress.Policy
}

// cachedRoutes are those of a RuleCache, with the tables that they were read from.
type cachedRoutes struct {
	foreignRoutes
	tables []uplinks.Table
	read   time.Time // zero: never, or they have changed since
}

// InvalidateRoutes makes the next proof read the routes and IPsec policies again.
func (c *RuleCache) InvalidateRoutes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.routes.read = time.Time{}
}

// foreignRoutes returns the routes in the tables, and the policies. A nil cache reads them each time.
func (c *RuleCache) foreignRoutes(ctx context.Context, tables []uplinks.Table, names map[int]string) (foreignRoutes, error) {
	if c == nil {
		return readForeignRoutes(ctx, tables, names)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.routes.read) < maxRulesAge && slices.Equal(c.routes.tables, tables) {
		return c.routes.foreignRoutes, nil
	}
	began := time.Now()
	all, err := readForeignRoutes(ctx, tables, names)
	if err == nil {
		c.routes = cachedRoutes{all, tables, began}
	}
	return all, err
}

func readForeignRoutes(ctx context.Context, tables []uplinks.Table, names map[int]string) (all foreignRoutes, err error) {
	all.routes = map[uplinks.Family][]rpdb.Route{}
	for _, f := range uplinks.Families {
		if all.routes[f], err = rtnl.SpecificRoutes(ctx, f, tables, names); err != nil {
			return all, err
		}
	}
	all.policies, err = rtnl.Policies(ctx)
	return all, err
}

// findClientNetworks finds the networks of clients that rules, routes and IPsec policies of other programs select.
func (r *run) findClientNetworks(ctx context.Context, cache *RuleCache, rules map[uplinks.Family][]rpdb.Rule) error {
	names, own := map[int]string{}, map[uplinks.Table]string{}
	for name, l := range r.host.Facts.Links {
		names[l.Index] = name
	}
	var tables []uplinks.Table
	for _, p := range r.paths {
		own[p.Table], tables = p.Link, append(tables, p.Table)
	}
	for _, f := range uplinks.Families {
		for _, rule := range rules[f] {
			if rule.Action == uplinks.Lookup && rule.Protocol != uplinks.Protocol && rule.Table > 0 && rule.Table != uplinks.DefaultTable {
				tables = append(tables, rule.Table)
			}
		}
	}
	slices.Sort(tables)
	found, err := cache.foreignRoutes(ctx, slices.Compact(tables), names)
	if err != nil {
		return err
	}
	r.policies = found.policies
	for _, p := range found.policies {
		r.addSelectedByPolicy(p)
	}
	for _, f := range uplinks.Families {
		s := proof.Selectors{Rules: rules[f], Routes: found.routes[f]}
		for _, p := range found.policies {
			if p.From.Addr().Is4() == (f == uplinks.IPv4) {
				s.Policies = append(s.Policies, p)
			}
		}
		r.networks = append(r.networks, proof.ClientNetworks(r.host.Facts, own, s)...)
	}
	return nil
}

// addSelectedByPolicy adds the port of this host that an IPsec policy selects.
func (r *run) addSelectedByPolicy(p egress.Policy) {
	port, mask := p.Sport, p.SportMask
	if p.Direction == egress.In {
		port, mask = p.Dport, p.DportMask
	}
	if !p.Passes() && mask != 0 && p.Direction != egress.Forward {
		r.host.Selected = append(r.host.Selected, selectedBy(foreign.Port{Proto: protocolNames[p.Proto], Number: port})...)
	}
}
