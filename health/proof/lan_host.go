package proof

import (
	"maps"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// FindLANHost returns an address that a LAN host could have, on the first interface that is not an uplink and has a network in
// the family; nil: there is none.
func FindLANHost(f uplinks.Facts, paths []health.Path, family uplinks.Family) *LANHost {
	isUplink := map[string]bool{}
	for _, p := range paths {
		isUplink[p.Link] = true
	}
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		if !l.Up || !l.Carrier || isUplink[name] {
			continue
		}
		for _, a := range l.Addrs {
			if host, ok := otherAddr(a); ok && uplinks.FamilyOf(host) == family {
				return &LANHost{Link: l.Index, Addr: host}
			}
		}
	}
	return nil
}

// otherAddr returns another address of the network.
func otherAddr(a uplinks.Addr) (netip.Addr, bool) {
	if ip := a.Prefix.Addr(); a.LinkLocal || ip.IsLoopback() || a.Prefix.Bits() > ip.BitLen()-2 {
		return ip, false
	}
	for _, other := range []netip.Addr{a.Prefix.Addr().Next(), a.Prefix.Addr().Prev()} {
		if a.Prefix.Contains(other) {
			return other, true
		}
	}
	return netip.Addr{}, false
}
