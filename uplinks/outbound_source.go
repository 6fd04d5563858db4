package uplinks

import (
	"net/netip"
	"slices"
)

// When an IPv6 address is deleted, the kernel takes it out of the routes that have it as their source and leaves those in place
// (net/ipv6/route.c, fib6_remove_prefsrc). From then on it selects a source among the addresses of all links, for packets of this host
// and for those that it translates: that of the LAN, which no provider takes. So the links of uplinks are confined to their own
// addresses, as RFC 6724 (section 4) recommends: an uplink that has no global address sends with the link-local one, which no router
// forwards, until the policies avoid it. In IPv4 the kernel deletes such routes.

// confinesSource reports whether what leaves by the link of the uplink has one of its own IPv6 addresses. An uplink that never had a
// global one is left alone: its provider routes the network of another link to this host (RFC 7084, section 4.2, WAA-7), as one does that
// delegates prefixes.
func (s Settings) confinesSource(u Uplink, f Facts) bool {
	l, managed := f.LinkOf(u)
	if !s.Outbound.Enabled() || !s.Outbound.Masquerade.In(IPv6) || !f.IPv6 || !managed || !u.Manages(IPv6) || !u.named() || l.NoIPv6 {
		return false
	}
	if slices.ContainsFunc(s.PrefixesOf(u.Name, f), func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		return false
	}
	_, hadOne := f.Originals[Tunable{u.Link, UseOIFAddrsOnly}]
	return hadOne || l.SourceAddr(IPv6).IsValid()
}

// addSourceTunables adds the sysctls that confine source addresses, of the whole host or of the links of the scopes.
func addSourceTunables(want State, s Settings, f Facts) {
	free := map[string]bool{}
	for _, u := range s.Uplinks {
		if !s.confinesSource(u, f) {
			free[u.Link] = true // another uplink by the same link needs it
		}
	}
	for _, u := range s.Uplinks {
		if !free[u.Link] && (f.Scopes == nil || covers(f.Scopes, s.ScopeOf(u))) {
			want.Tunables[Tunable{u.Link, UseOIFAddrsOnly}] = "1"
		}
	}
}

// SourceSysctls returns the sysctls that confine source addresses, of all links of the facts. They are read only where settings or saved
// originals need them.
func SourceSysctls(f Facts) (all []Tunable) {
	for name := range f.Links {
		all = append(all, Tunable{name, UseOIFAddrsOnly})
	}
	return all
}

// MayConfineSources reports whether the settings can need SourceSysctls.
func (s Settings) MayConfineSources() bool {
	return s.Outbound.Enabled() && s.Outbound.Masquerade.In(IPv6)
}
