package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/uplinks"
)

// describe returns lines about a proposed uplink: its addresses, and what its table does not cover.
func describe(f uplinks.Facts, l uplinks.Link, u uplinks.Uplink) []string {
	var lines []string
	for _, a := range l.Addrs {
		if !a.LinkLocal && !a.Temporary {
			lines = append(lines, "address "+a.Prefix.String())
		}
	}
	lines = append(lines, changingNumber(f, l)...)
	for _, family := range f.Families() {
		gateway, there := mainGateway(l, family)
		if a := l.SourceAddr(family); len(l.Defaults) > 0 && !there && a.IsValid() && u.Gateway(family) == (uplinks.Gateway{}) {
			lines = append(lines, fmt.Sprintf("No %s default route by it is known: replies from %s follow main. Once there is one, add", family, a),
				fmt.Sprintf("\"auto-%s\" or the address of the router to its gateways; until then replies would be refused.", strings.ToLower(family.String())))
		}
		lines = append(lines, otherRouters(l, gateway, family)...)
	}
	return lines
}

// mainGateway returns the link's preferred default route of the family.
func mainGateway(l uplinks.Link, family uplinks.Family) (uplinks.NextHop, bool) {
	i := slices.IndexFunc(l.Defaults, func(hop uplinks.NextHop) bool { return hop.Family == family })
	if i < 0 {
		return uplinks.NextHop{}, false
	}
	return l.Defaults[i], true
}

// otherRouters returns a line for each router of a default route by the link beside the gateway.
func otherRouters(l uplinks.Link, gateway uplinks.NextHop, family uplinks.Family) (lines []string) {
	for _, hop := range l.Defaults {
		line := fmt.Sprintf("A second router is on it, %s: replies leave by the gateway that is written here.", hop.Gateway)
		if hop.Family == family && hop.Gateway.IsValid() && hop.Gateway != gateway.Gateway && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// commentReason returns why a link is proposed as a comment.
func commentReason(f uplinks.Facts, l uplinks.Link) []string {
	if len(l.Defaults) > 0 {
		return []string{"It is a tunnel: an uplink only if its requests come from the Internet, not from a VPN's own", "networks. If so, remove the # of its table."}
	}
	for _, r := range f.GatewayRoutes {
		if r.Link == l.Name {
			return []string{fmt.Sprintf("main reaches %s via %s by it. If that router is a provider's, remove the # of this", destination(r), r.Gateway),
				fmt.Sprintf("table. If it is on your side (a LAN behind a LAN), write above the tables: inside = [%q]", l.Name)}
		}
	}
	return nil
}

// singleUplink returns a line if there is one uplink only.
func singleUplink(s uplinks.Settings) []string {
	if len(s.Uplinks) != 1 {
		return nil
	}
	return []string{fmt.Sprintf("Only %s is an uplink now: with one uplink all replies leave by it anyway. Bring the others up and", s.Uplinks[0].Link), "run replypath init again, or add their tables."}
}

// isProposed reports whether a table is proposed for the link.
func (p Proposal) isProposed(link string) bool {
	return slices.ContainsFunc(slices.Concat(p.Settings.Uplinks, p.Doubtful), func(u uplinks.Uplink) bool { return u.Link == link })
}

// linksWithoutGateway returns a line for each link with an address that could be an uplink, but has no gateway in the
// kernel's routes.
func linksWithoutGateway(p Proposal, f uplinks.Facts) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		a := cmp.Or(l.SourceAddr(uplinks.IPv4), l.SourceAddr(uplinks.IPv6))
		if !l.Up || l.VRF != 0 || !a.IsValid() || a.IsLoopback() || p.isProposed(name) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s (%s) has no gateway that the kernel knows: if it is an uplink, add a table for it.", name, a))
	}
	return lines
}

// linksDown returns a line for each Ethernet link that is down.
func linksDown(p Proposal, f uplinks.Facts) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		if l := f.Links[name]; !l.Up && l.MAC != "" && l.VRF == 0 && !p.isProposed(name) {
			lines = append(lines, fmt.Sprintf("%s is down: if it is an uplink, bring it up and run replypath init again, or add a table for it.", name))
		}
	}
	return lines
}
