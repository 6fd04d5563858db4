package inspect

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"replypath/uplinks"
)

// sharedLinkFindings returns the findings about an uplink that is on the same link as others: its router has the hardware address
// of another one's, or none is known.
func sharedLinkFindings(s uplinks.Settings, u uplinks.Uplink, f uplinks.Facts) (all []Finding) {
	if !s.SharesLink(u) {
		return nil
	}
	routers, first := s.RoutersOf(f), true
	if own := net.HardwareAddr(f.Links[u.Link].MAC).String(); slices.Contains(u.MACs, own) {
		all = append(all, Finding{
			What:   fmt.Sprintf("uplink %s: mac = %q is the hardware address of %s itself, from which no router sends", u.Name, own, u.Link),
			Remedy: "write the address from which the router sends: ip neigh show dev " + u.Link,
		})
	}
	for _, a := range f.Links[u.Link].Addrs {
		if slices.Contains(u.Routers, a.Prefix.Addr()) {
			all = append(all, Finding{
				What:   fmt.Sprintf("uplink %s: routers lists %s, an address of %s itself, where no router is", u.Name, a.Prefix.Addr(), u.Link),
				Remedy: "remove it, or write the address of a router",
			})
		}
	}
	for _, o := range s.Uplinks {
		if o.Name == u.Name {
			break
		}
		if o.Link != u.Link {
			continue
		}
		first = false
		for _, mac := range routers[u.Name] {
			if slices.Contains(routers[o.Name], mac) {
				all = append(all, Finding{
					What:   fmt.Sprintf("same-router: the uplinks %s and %s on %s have a router with the hardware address %s in common: what it forwards is taken for %[1]s", o.Name, u.Name, u.Link, mac),
					Remedy: "write another gateway, or make one uplink of the two: one router with two addresses cannot be distinguished",
				})
			}
		}
	}
	if !first && f.RouterMACs != nil && len(routers[u.Name]) == 0 && f.Links[u.Link].Carrier {
		all = append(all, Finding{
			What:   fmt.Sprintf("uplink %s: no hardware address of its routers is known, by which it is distinguished from %s on %s", u.Name, strings.Join(othersOn(s, u), ", "), u.Link),
			Remedy: fmt.Sprintf("check that its gateway answers, or write mac = [...] for %s", u.Name),
		})
	}
	return all
}

// anyRouterFindings reports an uplink with AnyRouter whose link has no hardware addresses, by which routers are found.
func anyRouterFindings(u uplinks.Uplink, l uplinks.Link) []Finding {
	if !u.AnyRouter || l.MAC != "" && !l.PointToPoint {
		return nil
	}
	return []Finding{{
		What:   fmt.Sprintf("uplink %s: routers = \"any\" finds no router: %s has no hardware addresses, by which one could be distinguished from the gateway", u.Name, l.Name),
		Remedy: fmt.Sprintf("remove routers of %s: what is at the other end of such a link is one router", u.Name),
	}}
}

// othersOn returns the names of the other uplinks on the uplink's link.
func othersOn(s uplinks.Settings, u uplinks.Uplink) (names []string) {
	for _, o := range s.Uplinks {
		if o.Link == u.Link && o.Name != u.Name {
			names = append(names, o.Name)
		}
	}
	return names
}

// isRouterOfLink reports whether the address is a gateway or router of an uplink on the link.
func isRouterOfLink(s uplinks.Settings, f uplinks.Facts, link string, a netip.Addr) bool {
	return slices.ContainsFunc(s.SharedRouters(f), func(r uplinks.RouterAddrs) bool { return r.Link == link && slices.Contains(r.Addrs, a) })
}
