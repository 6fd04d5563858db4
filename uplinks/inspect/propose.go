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

// Proposal is a configuration for a host, and what its operator should know of it.
type Proposal struct {
	Settings uplinks.Settings
	// Doubtful has tables that are uplinks only if the operator says so: tunnels, and networks behind a router without a
	// default route.
	Doubtful []uplinks.Uplink
	Comments map[string][]string // by uplink name; those under the empty name concern the whole host
	// Policy is one for connections that begin inside, nil where main has one way for them.
	Policy *uplinks.Policy
}

// Propose returns a configuration for a host: each link with a default route becomes an uplink. A tunnel, and a link whose
// only routers are in routes to some networks, are doubtful. attrs has the kinds of the links.
func Propose(f uplinks.Facts, attrs map[string]uplinks.LinkAttributes) Proposal {
	p := Proposal{Settings: uplinks.DefaultSettings(), Comments: map[string][]string{}}
	s := &p.Settings
	var doubtful []uplinks.Link
	for _, l := range candidates(f) {
		switch {
		case tunnelKinds[attrs[l.Name].Kind] || len(l.Defaults) == 0:
			doubtful = append(doubtful, l)
		case len(s.Uplinks) == int(s.Mask.MaxID()):
			p.Comments[""] = append(p.Comments[""], fmt.Sprintf("%s is left out: the mask %s has room for %d uplinks.", l.Name, s.Mask, len(s.Uplinks)))
		default:
			u := proposedUplink(f, l, s.Uplinks)
			s.Uplinks = append(s.Uplinks, u)
			p.Comments[u.Name] = describe(f, l, u)
		}
	}
	if policy, several := proposedPolicy(*s, f); several {
		p.Policy = &policy
	}
	for _, l := range doubtful {
		all := slices.Concat(s.Uplinks, p.Doubtful)
		if len(all) == int(s.Mask.MaxID()) {
			break
		}
		u := proposedUplink(f, l, all)
		p.Doubtful = append(p.Doubtful, u)
		p.Comments[u.Name] = append(describe(f, l, u), commentReason(f, l)...)
	}
	p.Comments[""] = slices.Concat(p.Comments[""], singleUplink(*s), linksWithoutGateway(p, f), linksDown(p, f))
	return p
}

// tunnelKinds are the kinds of links (IFLA_INFO_KIND) that a host opens over its uplinks.
var tunnelKinds = map[string]bool{"wireguard": true, "tun": true, "ipip": true, "sit": true, "ip6tnl": true, "gre": true, "gretap": true, "ip6gre": true, "ip6gretap": true,
	"vti": true, "vti6": true, "xfrm": true, "ovpn": true}

// proposedUplink returns the uplink of a link, with the next free id.
func proposedUplink(f uplinks.Facts, l uplinks.Link, earlier []uplinks.Uplink) uplinks.Uplink {
	u := uplinks.Uplink{Name: uniqueName(earlier, l.Name), ID: marks.ID(len(earlier) + 1), Link: l.Name, WhenDown: uplinks.Hold}
	u.Gateway4, u.Gateway6 = proposedGateways(f, l)
	return u
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

// proposedGateways returns the gateways of both families. Where one is read from the kernel's routes and the other is not
// known, the other is read too, unless the link has an address of that family: replies from it would be refused until there
// is a default route.
func proposedGateways(f uplinks.Facts, l uplinks.Link) (v4, v6 uplinks.Gateway) {
	v4, v6 = proposedGateway(f, l, uplinks.IPv4), proposedGateway(f, l, uplinks.IPv6)
	auto, none := uplinks.Gateway{Auto: true}, uplinks.Gateway{}
	switch {
	case v4 == auto && v6 == none && !l.SourceAddr(uplinks.IPv6).IsValid():
		v6 = auto
	case v6 == auto && v4 == none && !l.SourceAddr(uplinks.IPv4).IsValid():
		v4 = auto
	}
	return v4, v6
}

// proposedGateway returns "auto" where DHCP or router advertisements may change the gateway, else its address.
func proposedGateway(f uplinks.Facts, l uplinks.Link, family uplinks.Family) uplinks.Gateway {
	for _, hop := range l.Defaults {
		if hop.Family != family {
			continue
		}
		if hop.Dynamic || isLeased(l, hop) || !hop.Gateway.IsValid() || uplinks.FamilyOf(hop.Gateway) != family {
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

// isLeased reports whether an IPv4 gateway came with a lease. ISC dhclient adds a route like that of an administrator, but
// the address expires.
func isLeased(l uplinks.Link, hop uplinks.NextHop) bool {
	return hop.Family == uplinks.IPv4 && slices.ContainsFunc(l.Addrs, func(a uplinks.Addr) bool {
		return a.Leased && a.Prefix.Addr().Is4() && (a.Prefix.Contains(hop.Gateway) || a.Prefix.IsSingleIP())
	})
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
