package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// Propose returns settings for a host: each link with a default route, or with a gateway route in main, becomes an
// uplink. comments has lines for the operator by uplink name; those under the empty name concern the whole host.
func Propose(f uplinks.Facts) (s uplinks.Settings, comments map[string][]string) {
	s = uplinks.DefaultSettings()
	comments = map[string][]string{}
	for _, l := range candidates(f) {
		if len(s.Uplinks) == int(s.Mask.MaxID()) {
			comments[""] = append(comments[""], fmt.Sprintf("%s is left out: the mask %s has room for %d uplinks.", l.Name, s.Mask, len(s.Uplinks)))
			continue
		}
		u := uplinks.Uplink{Name: uniqueName(s.Uplinks, l.Name), ID: marks.ID(len(s.Uplinks) + 1), Link: l.Name, WhenDown: uplinks.Hold}
		u.Gateway4, u.Gateway6 = proposedGateways(f, l)
		s.Uplinks = append(s.Uplinks, u)
		comments[u.Name] = describe(f, l)
	}
	comments[""] = append(comments[""], linksWithoutGateway(s, f)...)
	return s, comments
}

// candidates returns the links with a gateway: those with default routes first, in the kernel's order of preference.
func candidates(f uplinks.Facts) []uplinks.Link {
	var all []uplinks.Link
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		if l.VRF == 0 && (proposedGateway(f, l, uplinks.IPv4) != uplinks.Gateway{} || proposedGateway(f, l, uplinks.IPv6) != uplinks.Gateway{}) {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b uplinks.Link) int { return cmp.Compare(bestMetric(a), bestMetric(b)) })
	return all
}

// bestMetric returns the smallest metric of the link's default routes. Routes outside main count after all of main's,
// and links without a default route come last.
func bestMetric(l uplinks.Link) uint64 {
	const otherTable = 1 << 32
	least := uint64(2 * otherTable)
	for _, hop := range l.Defaults {
		metric := uint64(hop.Metric)
		if hop.Table != uplinks.MainTable {
			metric += otherTable
		}
		least = min(least, metric)
	}
	return least
}

// proposedGateways returns the gateways of both families. "auto" alone covers both, so a family without a gateway gets
// it too.
func proposedGateways(f uplinks.Facts, l uplinks.Link) (v4, v6 uplinks.Gateway) {
	v4, v6 = proposedGateway(f, l, uplinks.IPv4), proposedGateway(f, l, uplinks.IPv6)
	if auto := (uplinks.Gateway{Auto: true}); v4 == auto && v6 == (uplinks.Gateway{}) || v6 == auto && v4 == (uplinks.Gateway{}) {
		return auto, auto
	}
	return v4, v6
}

// proposedGateway returns "auto" where DHCP or router advertisements may change the gateway, else its address.
func proposedGateway(f uplinks.Facts, l uplinks.Link, family uplinks.Family) uplinks.Gateway {
	for _, hop := range l.Defaults {
		if hop.Family != family {
			continue
		}
		if hop.Dynamic || !hop.Gateway.IsValid() || uplinks.FamilyOf(hop.Gateway) != family {
			return uplinks.Gateway{Auto: true}
		}
		return uplinks.Gateway{Addr: hop.Gateway}
	}
	for _, r := range f.GatewayRoutes {
		if r.Link == l.Name && uplinks.FamilyOf(r.Dst.Addr()) == family && uplinks.FamilyOf(r.Gateway) == family {
			return uplinks.Gateway{Addr: r.Gateway}
		}
	}
	return uplinks.Gateway{}
}

// uniqueName derives an uplink's name from its link's: a valid key, and not the name of another uplink or of a table.
func uniqueName(existing []uplinks.Uplink, link string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, strings.ToLower(link))
	for slices.ContainsFunc(existing, func(u uplinks.Uplink) bool { return u.Name == name }) || slices.Contains(uplinks.ReservedTableNames(), name) {
		name = name[:min(len(name), 14)] + "_"
	}
	return name
}

// describe returns lines about a proposed uplink: its addresses, and without a default route why it is proposed.
func describe(f uplinks.Facts, l uplinks.Link) []string {
	var lines []string
	for _, a := range l.Addrs {
		if !a.LinkLocal && !a.Temporary {
			lines = append(lines, "address "+a.Prefix.String())
		}
	}
	if len(l.Defaults) > 0 {
		return lines
	}
	for _, r := range f.GatewayRoutes {
		if r.Link == l.Name {
			lines = append(lines, fmt.Sprintf("main reaches %s via %s by it. If that router is on your side (a LAN", destination(r), r.Gateway),
				fmt.Sprintf("behind a LAN), remove this table and write instead: inside = [%q]", l.Name))
			break
		}
	}
	return lines
}

// linksWithoutGateway returns a line for each link with an address that could be an uplink, but has no gateway in the
// kernel's routes.
func linksWithoutGateway(s uplinks.Settings, f uplinks.Facts) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		a := cmp.Or(l.SourceAddr(uplinks.IPv4), l.SourceAddr(uplinks.IPv6))
		if !l.Up || l.VRF != 0 || !a.IsValid() || a.IsLoopback() || slices.ContainsFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Link == name }) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s (%s) has no gateway that the kernel knows: if it is an uplink, add a table for it.", name, a))
	}
	return lines
}
