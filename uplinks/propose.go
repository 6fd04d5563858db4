package uplinks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/marks"
)

// Propose reads settings off a host: every link by which it has a default route, or reaches any network through a
// gateway, is an uplink. notes has lines for people by the uplink's name, and under the empty name those on the whole.
func Propose(f Facts) (s Settings, comments map[string][]string) {
	s = DefaultSettings()
	comments = map[string][]string{}
	for _, l := range candidates(f) {
		if len(s.Uplinks) == int(s.Mask.MaxID()) {
			comments[""] = append(comments[""], fmt.Sprintf("%s is left out: the mask %s has room for %d uplinks.", l.Name, s.Mask, len(s.Uplinks)))
			continue
		}
		u := Uplink{Name: uniqueName(s.Uplinks, l.Name), ID: marks.ID(len(s.Uplinks) + 1), Link: l.Name, WhenDown: Hold}
		u.Gateway4, u.Gateway6 = proposedGateways(f, l)
		s.Uplinks = append(s.Uplinks, u)
		comments[u.Name] = describe(f, l)
	}
	comments[""] = append(comments[""], linksWithoutGateway(s, f)...)
	return s, comments
}

// candidates are the links that lead through a gateway: those with default routes first, in the order in which the kernel
// prefers them.
func candidates(f Facts) []Link {
	var all []Link
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		if l.VRF == 0 && (proposedGateway(f, l, IPv4) != Gateway{} || proposedGateway(f, l, IPv6) != Gateway{}) {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b Link) int {
		return cmp.Or(compareBool(len(a.Defaults) > 0, len(b.Defaults) > 0), cmp.Compare(a.bestMetric(), b.bestMetric()))
	})
	return all
}

// bestMetric is the least metric of the link's default routes, those outside main after all of main's.
func (l Link) bestMetric() uint64 {
	const otherTable = 1 << 32
	least := uint64(2 * otherTable)
	for _, hop := range l.Defaults {
		p := uint64(hop.Metric)
		if hop.Table != MainTable {
			p += otherTable
		}
		least = min(least, p)
	}
	return least
}

// proposedGateways leaves no family alone that "auto" alone would take in.
func proposedGateways(f Facts, l Link) (v4, v6 Gateway) {
	v4, v6 = proposedGateway(f, l, IPv4), proposedGateway(f, l, IPv6)
	if auto := (Gateway{Auto: true}); v4 == auto && v6 == (Gateway{}) || v6 == auto && v4 == (Gateway{}) {
		return auto, auto
	}
	return v4, v6
}

// proposedGateway is "auto" where somebody else knows the gateway better than a file would.
func proposedGateway(f Facts, l Link, family Family) Gateway {
	for _, hop := range l.Defaults {
		if hop.Family != family {
			continue
		}
		if hop.Dynamic || !hop.Gateway.IsValid() || FamilyOf(hop.Gateway) != family {
			return Gateway{Auto: true}
		}
		return Gateway{Addr: hop.Gateway}
	}
	for _, r := range f.GatewayRoutes {
		if r.Link == l.Name && FamilyOf(r.Dst.Addr()) == family && FamilyOf(r.Gateway) == family {
			return Gateway{Addr: r.Gateway}
		}
	}
	return Gateway{}
}

// uniqueName makes a name for an uplink out of its link's.
func uniqueName(taken []Uplink, link string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, strings.ToLower(link))
	for slices.ContainsFunc(taken, func(u Uplink) bool { return u.Name == name }) || slices.Contains(reservedNames[:], name) {
		name = name[:min(len(name), 14)] + "_"
	}
	return name
}

// reservedNames names are those of the kernel's own tables.
var reservedNames = [...]string{"main", "local", "default", "unspec"}

func describe(f Facts, l Link) []string {
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

// linksWithoutGateway are the links that could be uplinks, though nothing on the host says by which gateway.
func linksWithoutGateway(s Settings, f Facts) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		a := cmp.Or(l.SourceAddr(IPv4), l.SourceAddr(IPv6))
		if !l.Up || l.VRF != 0 || !a.IsValid() || a.IsLoopback() || slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Link == name }) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s (%s) has no gateway that the kernel knows: if it is an uplink, add a table for it.", name, a))
	}
	return lines
}
