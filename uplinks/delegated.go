package uplinks

import (
	"math/bits"
	"net/netip"
	"slices"
)

// Delegated is an IPv6 network that main says to be delegated to this host.
type Delegated struct {
	Prefix netip.Prefix
	// Link has a default route for packets from the network only, such as odhcp6c adds. Without one, the network has a route in
	// main that refuses what no link has of it, such as systemd-networkd and dhcpcd add.
	Link string
}

// commonBits is the least number of leading bits that a network has in common with the address of an uplink whose provider routes
// it: registries give no provider fewer addresses than a /32, and seldom several within a /28.
const commonBits = 28

// globalUnicast are the addresses that providers delegate.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// IsDelegable reports whether a provider could have delegated the network.
func IsDelegable(p netip.Prefix) bool {
	return p.Addr().Is6() && globalUnicast.Contains(p.Addr()) && p.Bits() >= 16 && p.Bits() <= 64
}

// AutoPrefixes are the networks of uplinks with prefixes = "auto".
type AutoPrefixes struct {
	By map[string][]netip.Prefix // by uplink
	// Unassigned are delegated networks, and networks on inside links, that could be of several uplinks, or of none.
	Unassigned []netip.Prefix
}

// AutoPrefixes returns the networks that the facts show to be delegated by the providers of uplinks with prefixes = "auto": those
// with a default route of their own by an uplink's link, and those that refuse what no link has of them, or that are on an
// inside link. A network of the latter two kinds belongs to the uplink that has an address with the most leading bits in common,
// at least 28 and more than any other uplink; or, if it refuses, to the only uplink with prefixes = "auto".
func (s Settings) AutoPrefixes(f Facts) AutoPrefixes {
	all := AutoPrefixes{By: map[string][]netip.Prefix{}}
	if !s.Outbound.hasAuto() {
		return all
	}
	var seen []netip.Prefix
	delegated := slices.Clone(f.Delegated)
	slices.SortStableFunc(delegated, func(a, b Delegated) int { return compareBool(a.Link != "", b.Link != "") })
	for _, d := range slices.Concat(delegated, s.insideNetworks6(f)) {
		if isWithin(d.Prefix, seen) || s.isListed(d.Prefix) {
			continue
		}
		seen = append(seen, d.Prefix)
		owner := s.ownerOf(d, f, slices.Contains(f.Delegated, d))
		switch {
		case owner == "":
			all.Unassigned = append(all.Unassigned, d.Prefix)
		case s.Outbound.isAuto(owner):
			all.By[owner] = append(all.By[owner], d.Prefix)
		}
	}
	return all
}

// insideNetworks6 returns the networks of links that are no uplink's.
func (s Settings) insideNetworks6(f Facts) (all []Delegated) {
	for name, l := range f.Links {
		if l.Isolated || slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Link == name }) {
			continue
		}
		for _, c := range l.Connected {
			if IsDelegable(c.Dst) {
				all = append(all, Delegated{Prefix: c.Dst})
			}
		}
	}
	slices.SortFunc(all, func(a, b Delegated) int { return a.Prefix.Compare(b.Prefix) })
	return all
}

// isListed reports whether the configuration says which uplink the network, or a part of it, belongs to.
func (s Settings) isListed(p netip.Prefix) bool {
	return slices.ContainsFunc(s.Outbound.Prefixes, func(u UplinkPrefixes) bool { return slices.ContainsFunc(u.Prefixes, p.Overlaps) })
}

// ownerOf returns the uplink whose provider routes the network; "": unknown.
func (s Settings) ownerOf(d Delegated, f Facts, delegated bool) (owner string) {
	best := commonBits - 1
	for _, u := range s.Uplinks {
		if !u.Manages(IPv6) {
			continue
		}
		if d.Link != "" && u.Link == d.Link {
			return u.Name
		}
		l, _ := f.LinkOf(u)
		switch n := l.commonBits(d.Prefix); {
		case n > best:
			best, owner = n, u.Name
		case n == best && n >= commonBits:
			owner = ""
		}
	}
	if owner != "" || best >= commonBits || !delegated {
		return owner
	}
	return s.Outbound.onlyAuto()
}

// commonBits returns the largest number of leading bits that the network has in common with an address of the link.
func (l Link) commonBits(p netip.Prefix) (most int) {
	for _, a := range l.Addrs {
		if ip := a.Prefix.Addr(); globalUnicast.Contains(ip) {
			most = max(most, min(p.Bits(), leadingBits(ip.As16(), p.Addr().As16())))
		}
	}
	return most
}

// leadingBits returns the number of leading bits that two addresses have in common.
func leadingBits(a, b [16]byte) int {
	for i := range a {
		if a[i] != b[i] {
			return 8*i + bits.LeadingZeros8(a[i]^b[i])
		}
	}
	return 8 * len(a)
}

// hasAuto reports whether an uplink has prefixes = "auto".
func (o Outbound) hasAuto() bool {
	return slices.ContainsFunc(o.Prefixes, func(p UplinkPrefixes) bool { return p.Auto })
}

// isAuto reports whether the uplink has prefixes = "auto".
func (o Outbound) isAuto(uplink string) bool {
	return slices.ContainsFunc(o.Prefixes, func(p UplinkPrefixes) bool { return p.Auto && p.Uplink == uplink })
}

// onlyAuto returns the uplink with prefixes = "auto", if there is only one.
func (o Outbound) onlyAuto() (uplink string) {
	for _, p := range o.Prefixes {
		if p.Auto && uplink != "" {
			return ""
		}
		if p.Auto {
			uplink = p.Uplink
		}
	}
	return uplink
}

// PrefixesOf returns the networks of the uplink that its provider routes: those of the configuration, and those that are found.
func (s Settings) PrefixesOf(uplink string, f Facts) (all []netip.Prefix) {
	for _, p := range s.Outbound.Prefixes {
		if p.Uplink == uplink {
			all = append(all, p.Prefixes...)
		}
	}
	return append(all, s.AutoPrefixes(f).By[uplink]...)
}
