package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// An uplink with AnyRouter sends the replies to what any router on its link forwards back to that router. A router that the
// configuration does not know is found by its packets: it gets an id, with all that an uplink has for its replies. Its next hop is
// an address that no host has (FoundRouterAddr), for which a permanent neighbour entry has the router's hardware address.

// FoundRouter is a router that was found by its packets.
type FoundRouter struct {
	Uplink string   `json:"uplink"` // on whose link it is
	MAC    string   `json:"mac"`    // in lower case
	ID     marks.ID `json:"id"`
}

// FoundRouterIDs returns the ids that found routers can have: the largest ones of the mask that are no uplink's and no bucket of
// senders, MaxFoundRouters at most, the largest first.
func (s Settings) FoundRouterIDs() (all []marks.ID) {
	last := s.Mask.MaxID()
	if s.Outbound.Enabled() {
		last = s.FirstBucket() - 1
	}
	for id := last; id > 0 && len(all) < MaxFoundRouters; id-- {
		if !slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.ID == id }) {
			all = append(all, id)
		}
	}
	return all
}

// FindsRouters reports whether an uplink has AnyRouter.
func (s Settings) FindsRouters() bool {
	return slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.AnyRouter })
}

// FoundRouterAddr returns the address that stands for a found router as a next hop.
func FoundRouterAddr(f Family, id marks.ID) netip.Addr {
	if f == IPv6 {
		b := foundRouters6.Addr().As16()
		b[15] = byte(id)
		return netip.AddrFrom16(b)
	}
	b := foundRouters4.Addr().As4()
	b[3] = byte(id)
	return netip.AddrFrom4(b)
}

// IsFoundRouterAddr reports whether the address is one of FoundRouterAddr.
func IsFoundRouterAddr(a netip.Addr) bool {
	return foundRouters4.Contains(a) || foundRouters6.Contains(a)
}

// WithFoundRouters returns the settings with an uplink for each found router whose hardware address is no known router's, behind
// the configured ones. It has the families of the uplink on whose link the router is.
func (s Settings) WithFoundRouters(f Facts) Settings {
	if len(f.FoundRouters) == 0 {
		return s
	}
	configured, known := s.Uplinks, s.RoutersOf(f)
	s.Uplinks = slices.Clone(configured)
	for _, r := range f.FoundRouters {
		i := slices.IndexFunc(configured, func(u Uplink) bool { return u.Name == r.Uplink && u.AnyRouter })
		if i < 0 || slices.ContainsFunc(configured, func(u Uplink) bool {
			return u.ID == r.ID || u.Link == configured[i].Link && slices.Contains(known[u.Name], r.MAC)
		}) {
			continue
		}
		found := Uplink{Name: r.Name(), ID: r.ID, Link: configured[i].Link, WhenDown: Hold, MACs: []string{r.MAC}, found: true}
		if configured[i].Manages(IPv4) {
			found.Gateway4.Addr = FoundRouterAddr(IPv4, r.ID)
		}
		if configured[i].Manages(IPv6) {
			found.Gateway6.Addr = FoundRouterAddr(IPv6, r.ID)
		}
		s.Uplinks = append(s.Uplinks, found)
	}
	return s
}

// Name returns the name by which explanations call the router. No uplink has it.
func (r FoundRouter) Name() string { return r.Uplink + "/" + r.MAC }

// addNeighbours adds the neighbour entries of found routers. The kernel keeps none of a link that is down.
func addNeighbours(want State, s Settings, f Facts) {
	for _, u := range s.Uplinks {
		l, exists := f.LinkOf(u)
		if !u.found || !exists || !l.Up {
			continue
		}
		for _, family := range f.Families() {
			if u.Manages(family) && !(family == IPv6 && l.NoIPv6) {
				want.Neighbours[NeighbourKey{l.Name, u.Gateway(family).Addr}] = u.MACs[0]
			}
		}
	}
}

// FindsRoutersOn reports whether routers can be found on the link.
func (s Settings) FindsRoutersOn(link string) bool {
	return slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.AnyRouter && u.Link == link })
}
