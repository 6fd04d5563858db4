package uplinks

import (
	"net/netip"
	"slices"
)

// pathAddresses are the addresses of a path, from one observation to the next.
type pathAddresses struct {
	now  []netip.Addr
	lost []netip.Addr // that it had, since the last time that it had any
}

// globalAddrs returns the addresses of the uplink's link in the family that are not link-local.
func globalAddrs(u Uplink, f Facts, family Family) (all []netip.Addr) {
	l, _ := f.LinkOf(u)
	for _, a := range l.Addrs {
		if FamilyOf(a.Prefix.Addr()) == family && !a.LinkLocal && !a.Tentative {
			all = append(all, a.Prefix.Addr())
		}
	}
	return all
}

// without returns the addresses that are none of the others.
func without(all, others []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return slices.Contains(others, a) })
}

// observeAddresses returns the move of the connections that an uplink cannot carry on, as they have an address that it has no longer, and
// false if there are none: with other addresses, which it has now. A virtual address moves to the other node of a pair, together with its
// connections. While the uplink has no address, lost keeps those that it had.
func (t *OutboundTracker) observeAddresses(s Settings, u Uplink, f Facts, family Family) (m Move, ok bool) {
	path := PathKey{u.Name, family}
	before, known := t.addrs[path]
	a := pathAddresses{now: globalAddrs(u, f, family), lost: before.lost}
	for _, old := range before.now {
		if !slices.Contains(u.VIPs, old) && !slices.Contains(a.lost, old) {
			a.lost = append(slices.Clone(a.lost), old)
		}
	}
	a.lost = without(a.lost, a.now)
	if t.addrs[path] = a; !known || len(a.now) == 0 || len(a.lost) == 0 && len(before.now) > 0 {
		return m, false
	}
	m = s.move(u, f, family, "it was without an address for a time")
	if m.Lost = a.lost; len(a.lost) > 0 {
		m.Why = "it has no longer the address " + joined(a.lost, ", ")
	}
	m.LostOnly = true
	t.addrs[path] = pathAddresses{now: a.now}
	return m, true
}

// HasLost reports whether connections with the source cannot go on: the uplink has lost the address, or had none when they began, when
// the kernel took its link-local one.
func (m Move) HasLost(source netip.Addr) bool {
	return slices.Contains(m.Lost, source) || m.Family == IPv6 && source.IsLinkLocalUnicast()
}
