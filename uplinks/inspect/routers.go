package inspect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/uplinks"
)

// inspectRouters returns the networks that main reaches through a router that is not an uplink's gateway. Most hosts
// have none, and every change of a link asks for it.
func inspectRouters(s uplinks.Settings, f uplinks.Facts) []Finding {
	if len(f.GatewayRoutes) == 0 {
		return nil
	}
	return slices.Concat(unclassifiedLinks(s, f), routersOnUplinks(s, f), gatewaysBehindRouters(s, f))
}

// gatewaysBehindRouters returns the configured gateways that are in no network of their link, and that main reaches
// through a router.
func gatewaysBehindRouters(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	for _, u := range s.Uplinks {
		l, exists := f.LinkOf(u)
		for _, family := range f.Families() {
			gateway := u.Gateway(family).Addr
			if _, left := f.LeftOutPath(s, u, family); !exists || left || !gateway.IsValid() || l.IsOnLink(gateway) {
				continue
			}
			at := slices.IndexFunc(f.GatewayRoutes, func(r uplinks.GatewayRoute) bool {
				return r.Dst.Contains(gateway) && !uplinks.IsDefaultRoute(r.Dst) && r.Gateway != gateway
			})
			if at < 0 {
				continue
			}
			r := f.GatewayRoutes[at]
			all = append(all, Finding{
				What:   fmt.Sprintf("uplink %s: its %s gateway %s is in no network of %s, and main reaches it through a router: %s via %s dev %s", u.Name, family, gateway, l.Name, r.Dst, r.Gateway, r.Link),
				Remedy: fmt.Sprintf("write the address of the router on %s", l.Name),
			})
		}
	}
	return all
}

// unclassifiedLinks returns the links with gateway routes in main that are neither uplinks nor inside. Main's routes by
// such a link win over an uplink's table: strict rp_filter drops a packet from there that comes in by an uplink, and
// without rp_filter the reply leaves by that link.
func unclassifiedLinks(s uplinks.Settings, f uplinks.Facts) []Finding {
	known := map[string]bool{}
	for _, link := range s.Inside {
		known[link] = true
	}
	for _, u := range s.Uplinks {
		known[u.Link] = true
	}
	routes := map[string][]uplinks.GatewayRoute{}
	var links []string
	for _, r := range f.GatewayRoutes {
		if known[r.Link] || r.Dst.Bits() > 0 && uplinks.IsDefaultRoute(r.Dst) {
			continue // a VPN's halves of a default route do no harm
		}
		if len(routes[r.Link]) == 0 {
			links = append(links, r.Link)
		}
		routes[r.Link] = append(routes[r.Link], r)
	}
	var all []Finding
	for _, link := range links {
		all = append(all, Finding{
			What: fmt.Sprintf("%s is neither an uplink nor inside, and main reaches networks through a gateway by it (%s): strict rp_filter drops packets from there that come in by an uplink, and without it the replies leave by %s",
				link, summarizeRoutes(routes[link], f.OmittedRoutes[link]), link),
			Remedy: fmt.Sprintf(`make it an uplink ([uplinks.NAME] with interface = %q), or, if a router behind it is on your side, add it to inside = [%q]`, link, link),
		})
	}
	return all
}

// routersOnUplinks returns the networks that main reaches by an uplink's link through another router than its gateway.
// The uplink's table sends their replies to the gateway, unless another program has put a route into that table.
func routersOnUplinks(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	unreached := map[linkFamily][]uplinks.GatewayRoute{}
	gateways := gatewaysOf(s, f)
	for _, r := range f.GatewayRoutes {
		key := linkFamily{r.Link, uplinks.FamilyOf(r.Dst.Addr())}
		gateway, isUplink := gateways[key]
		if isUplink && r.Gateway != gateway && !isRouterOfLink(s, f, r.Link, r.Gateway) && !uplinks.IsDefaultRoute(r.Dst) && !slices.Contains(f.Links[r.Link].ForeignPrefixes, r.Dst) {
			unreached[key] = append(unreached[key], r)
		}
	}
	for _, u := range s.Uplinks {
		for _, family := range uplinks.Families {
			if routes := unreached[linkFamily{u.Link, family}]; len(routes) > 0 {
				all = append(all, Finding{
					What: fmt.Sprintf("uplink %s: main reaches networks by %s through a router that is not its gateway (%s): replies to them go to the gateway",
						u.Name, u.Link, summarizeRoutes(routes, 0)),
					Remedy: fmt.Sprintf("where the gateway does not forward them, add the route to the uplink's table too, where it stays: %s route add %s via %s dev %s table %s",
						family.IPCommand(), routes[0].Dst, routes[0].Gateway, u.Link, s.Table(u)),
				})
			}
		}
	}
	return all
}

type linkFamily struct {
	link   string
	family uplinks.Family
}

// gatewaysOf returns the known gateways of the uplinks.
func gatewaysOf(s uplinks.Settings, f uplinks.Facts) map[linkFamily]netip.Addr {
	gateways := map[linkFamily]netip.Addr{}
	for _, u := range s.Uplinks {
		for _, family := range f.Families() {
			l, _ := f.LinkOf(u)
			if hop, known := l.NextHop(u.Gateway(family), family); known && u.Manages(family) {
				gateways[linkFamily{u.Link, family}] = hop.Gateway
			}
		}
	}
	return gateways
}

// summarizeRoutes returns the first three routes and the number of the others. omitted counts routes that are not in the
// slice: the facts of a full routing table list only some.
func summarizeRoutes(routes []uplinks.GatewayRoute, omitted int) string {
	const maxListed = 3
	var listed []string
	for _, r := range routes[:min(maxListed, len(routes))] {
		listed = append(listed, fmt.Sprintf("%s via %s", destination(r), r.Gateway))
	}
	text := strings.Join(listed, ", ")
	if more := len(routes) - len(listed) + omitted; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// destination returns the route's destination as ip-route(8) prints it.
func destination(r uplinks.GatewayRoute) string {
	if r.Dst.Bits() == 0 {
		return "default"
	}
	return r.Dst.String()
}
