package uplinks

import (
	"fmt"
	"net/netip"
	"slices"
)

// LeftOut is a path that is not applied although it is configured: its replies would be lost. The other paths are applied.
type LeftOut struct {
	Path           PathKey
	Reason, Remedy string
}

// String returns the path and the reason, for people.
func (o LeftOut) String() string {
	return fmt.Sprintf("uplink %s: %s is left out: %s", o.Path.Uplink, o.Path.Family, o.Reason)
}

// LeftOut returns the paths of the settings that are left out on the host, in the order of the settings.
func (f Facts) LeftOut(s Settings) (all []LeftOut) {
	s = s.ResolveLinks(f)
	for _, u := range s.Uplinks {
		for _, family := range f.Families() {
			if o, is := f.LeftOutPath(s, u, family); is {
				all = append(all, o)
			}
		}
	}
	return all
}

// LeftOutPath reports whether a path is left out, and why: the kernel refuses its route, its packets do not leave as they were routed, its
// router cannot be distinguished, or its gateway is in a network of another uplink's link.
func (f Facts) LeftOutPath(s Settings, u Uplink, family Family) (LeftOut, bool) {
	path := PathKey{u.Name, family}
	if refusal, is := f.Refused[path]; is && u.Manages(family) {
		return LeftOut{path, refusal, fmt.Sprintf("correct the gateway and the interface of %s", u.Name)}, true
	}
	l, exists := f.LinkOf(u)
	if exists && l.Rerouted && u.Manages(family) {
		return LeftOut{path, fmt.Sprintf("%s is an %s in mode l3, whose packets the kernel routes once more, by the link below, without the uplinks' tables", u.Link, l.Kind),
			fmt.Sprintf("ip link set dev %s type %s mode l2", u.Link, l.Kind)}, true
	}
	if reason := f.inseparable(s, u); reason != "" && u.Manages(family) {
		return LeftOut{path, reason, fmt.Sprintf("give %s an interface of its own", u.Name)}, true
	}
	gateway := u.Gateway(family).Addr
	if !gateway.IsValid() || gateway.IsLinkLocalUnicast() {
		return LeftOut{}, false
	}
	if !exists || !l.Up || !l.hasNetwork(family) || l.IsOnLink(gateway) || l.leadsTo(f, gateway) {
		return LeftOut{}, false
	}
	other, network := f.uplinkWithNetwork(s, u, gateway)
	if other.Name == "" {
		return LeftOut{}, false
	}
	return LeftOut{path, fmt.Sprintf("its gateway %s is in %s, a network of %s (uplink %s), and in none of %s", gateway, network, other.Link, other.Name, u.Link),
		fmt.Sprintf(`write the address of the router on %s, or "auto", as a gateway of %s`, u.Link, u.Name)}, true
}

// uplinkWithNetwork returns the first uplink by another link than u's in whose network the address is, and the network.
func (f Facts) uplinkWithNetwork(s Settings, u Uplink, a netip.Addr) (Uplink, netip.Prefix) {
	for _, other := range s.Uplinks {
		l, exists := f.LinkOf(other)
		if !exists || other.Link == u.Link {
			continue
		}
		for network := range l.Networks() {
			if network.Contains(a) {
				return other, network
			}
		}
	}
	return Uplink{}, netip.Prefix{}
}

// hasNetwork reports whether an address of the link is in a network of the family that has other addresses.
func (l Link) hasNetwork(f Family) bool {
	for network := range l.Networks() {
		if FamilyOf(network.Addr()) == f {
			return true
		}
	}
	return false
}

// leadsTo reports whether a route of main by the link has the gateway.
func (l Link) leadsTo(f Facts, gateway netip.Addr) bool {
	return slices.ContainsFunc(f.GatewayRoutes, func(r GatewayRoute) bool { return r.Link == l.Name && r.Gateway == gateway })
}

// applied returns the settings without the paths that are left out. A path with Kept routes stays in the settings. With
// f.Scopes it omits only those of the uplinks in them.
func (s Settings) applied(f Facts) Settings {
	var out []PathKey
	for _, u := range s.Within(f.Scopes).Uplinks {
		for _, family := range f.Families() {
			if o, is := f.LeftOutPath(s, u, family); is && f.Kept[o.Path] == nil {
				out = append(out, o.Path)
			}
		}
	}
	if out == nil {
		return s
	}
	all := s.Uplinks
	s.Uplinks = nil
	for _, u := range all {
		if slices.Contains(out, PathKey{u.Name, IPv4}) {
			u.Gateway4 = Gateway{}
		}
		if slices.Contains(out, PathKey{u.Name, IPv6}) {
			u.Gateway6 = Gateway{}
		}
		if u.Manages(IPv4) || u.Manages(IPv6) {
			s.Uplinks = append(s.Uplinks, u)
		}
	}
	return s
}

// WithRefused returns the facts with the paths that the kernel refuses, and why. Those left-out paths that are in force in
// the observed state keep the routes that they have there.
func (f Facts) WithRefused(s Settings, observed State, refused map[PathKey]string) Facts {
	f.Refused, f.Kept = refused, nil
	for _, o := range f.LeftOut(s) {
		i := slices.IndexFunc(s.Uplinks, func(u Uplink) bool { return u.Name == o.Path.Uplink })
		routes, inForce := s.routesInForce(observed, s.Uplinks[i], o.Path.Family)
		if inForce {
			f.Keep(o.Path, routes)
		}
	}
	return f
}

// Keep makes the path keep the routes while it is left out.
func (f *Facts) Keep(path PathKey, routes map[RouteKey]Route) {
	if f.Kept == nil {
		f.Kept = map[PathKey]map[RouteKey]Route{}
	}
	f.Kept[path] = routes
}

// LeavesOutOthers reports whether other paths of the settings in the scopes are left out with the facts after a change.
func (f Facts) LeavesOutOthers(s Settings, after Facts, scopes []Scope) bool {
	for _, u := range s.Within(scopes).Uplinks {
		for _, family := range f.Families() {
			_, before := f.LeftOutPath(s, u, family)
			if _, now := after.LeftOutPath(s, u, family); now != before {
				return true
			}
		}
	}
	return false
}

// routesInForce returns the path's routes, and whether the path is in force in the state: there is the rule for its mark, and
// its table has a route by its link and none by another. A table that holds nothing but an unreachable route leads nowhere:
// what was written while links were renamed is not kept.
func (s Settings) routesInForce(have State, u Uplink, family Family) (routes map[RouteKey]Route, inForce bool) {
	rule, leads := false, false
	for r := range have.Rules {
		rule = rule || r.Family == family && r.Action == Lookup && r.Table == s.Table(u) && r.Mark == s.Mark(u) && r.Mask == s.Mask
	}
	routes = map[RouteKey]Route{}
	for k, r := range have.Routes {
		if k.Family != family || k.Table != s.Table(u) || r.Protocol != Protocol {
			continue
		}
		if r.Type == Unicast && r.Link != u.Link {
			return nil, false
		}
		leads = leads || r.Type == Unicast
		routes[k] = r
	}
	return routes, rule && leads
}
