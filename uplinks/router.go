package uplinks

import (
	"fmt"
	"net/netip"
	"slices"
)

// byOtherWays names the networks that main reaches through routers which are no uplink's gateway. Most hosts have none, and
// this is asked at each change of a link.
func byOtherWays(s Settings, f Facts) []Finding {
	if len(f.Routed) == 0 {
		return nil
	}
	return append(neither(s, f), beside(s, f)...)
}

// beside names those on the uplinks' own links: an uplink's table sends to its gateway what is for them, unless somebody
// has told it otherwise.
func beside(s Settings, f Facts) (all []Finding) {
	missed := map[way][]Routed{}
	gateways := s.gateways(f)
	for _, r := range f.Routed {
		by := way{r.Link, FamilyOf(r.Dst.Addr())}
		gateway, ours := gateways[by]
		if ours && r.Gateway != gateway && !ForEverybody(r.Dst) && !slices.Contains(f.Links[r.Link].Told, r.Dst) {
			missed[by] = append(missed[by], r)
		}
	}
	for _, u := range s.Uplinks {
		for _, family := range Families {
			if routes := missed[way{u.Link, family}]; len(routes) > 0 {
				all = append(all, Finding{
					What: fmt.Sprintf("uplink %s: main reaches networks by %s through a router that is not its gateway (%s): replies to there go to the gateway",
						u.Name, u.Link, few(routes, 0)),
					Remedy: fmt.Sprintf("where the gateway does not pass them on, add the route to the uplink's table too, where it stays: %s route add %s via %s dev %s table %s",
						family.ip(), routes[0].Dst, routes[0].Gateway, u.Link, s.Table(u)),
				})
			}
		}
	}
	return all
}

// way is by a link in a family.
type way struct {
	link   string
	family Family
}

// gateways are those of the uplinks, where they are known.
func (s Settings) gateways(f Facts) map[way]netip.Addr {
	of := map[way]netip.Addr{}
	for _, u := range s.Uplinks {
		for _, family := range f.families() {
			l, _ := f.link(u)
			if hop, known := l.NextHop(u.Gateway(family), family); known && u.Manages(family) {
				of[way{u.Link, family}] = hop.Gateway
			}
		}
	}
	return of
}
