package uplinks

import (
	"fmt"
	"net/netip"
	"slices"
)

// inspectRouters names the networks that main reaches through routers which are no uplink's gateway. Most hosts have none, and
// this is asked at each change of a link.
func inspectRouters(s Settings, f Facts) []Finding {
	if len(f.GatewayRoutes) == 0 {
		return nil
	}
	return append(inspectLinks(s, f), routersOnUplinks(s, f)...)
}

// routersOnUplinks names those on the uplinks' own links: an uplink's table sends to its gateway what is for them, unless somebody
// has told it otherwise.
func routersOnUplinks(s Settings, f Facts) (all []Finding) {
	unreached := map[linkFamily][]GatewayRoute{}
	gateways := s.gateways(f)
	for _, r := range f.GatewayRoutes {
		by := linkFamily{r.Link, FamilyOf(r.Dst.Addr())}
		gateway, isUplink := gateways[by]
		if isUplink && r.Gateway != gateway && !IsDefaultRoute(r.Dst) && !slices.Contains(f.Links[r.Link].ForeignPrefixes, r.Dst) {
			unreached[by] = append(unreached[by], r)
		}
	}
	for _, u := range s.Uplinks {
		for _, family := range Families {
			if routes := unreached[linkFamily{u.Link, family}]; len(routes) > 0 {
				all = append(all, Finding{
					What: fmt.Sprintf("uplink %s: main reaches networks by %s through a router that is not its gateway (%s): replies to there go to the gateway",
						u.Name, u.Link, summarizeRoutes(routes, 0)),
					Remedy: fmt.Sprintf("where the gateway does not pass them on, add the route to the uplink's table too, where it stays: %s route add %s via %s dev %s table %s",
						family.ipCommand(), routes[0].Dst, routes[0].Gateway, u.Link, s.Table(u)),
				})
			}
		}
	}
	return all
}

// linkFamily is by a link in a family.
type linkFamily struct {
	link   string
	family Family
}

// gateways are those of the uplinks, where they are known.
func (s Settings) gateways(f Facts) map[linkFamily]netip.Addr {
	gateways := map[linkFamily]netip.Addr{}
	for _, u := range s.Uplinks {
		for _, family := range f.families() {
			l, _ := f.linkOf(u)
			if hop, known := l.NextHop(u.Gateway(family), family); known && u.Manages(family) {
				gateways[linkFamily{u.Link, family}] = hop.Gateway
			}
		}
	}
	return gateways
}
