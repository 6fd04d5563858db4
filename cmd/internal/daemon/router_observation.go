package daemon

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"replypath/health/proof/inject"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// unspecified are the senders that are no host's: those of DHCP clients and of duplicate address detection, and link-local ones.
var unspecified = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("::/128"), netip.MustParsePrefix("fe80::/10")}

// observe sets what a round has put in force.
func (r *routerFinder) observe(s uplinks.Settings, f uplinks.Facts) {
	links := findingLinks(s, f)
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := !maps.EqualFunc(links, r.links, foundLink.equal) || !slices.Equal(f.FoundRouters, r.inForce)
	if r.mask == s.Mask {
		r.retire(s, f)
	}
	r.links, r.inForce, r.mask, r.ids = links, slices.Clone(f.FoundRouters), s.Mask, s.FoundRouterIDs()
	r.dropUnknown(time.Now())
	if changed {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	if r.table == nil {
		return
	}
	err := r.table.UnsavedRouters()
	if err != nil && !r.unsaved {
		r.log.Warn("cannot save the routers of uplinks that share an interface: after a restart they are learnt again", "err", err,
			"remedy", "make room in the state folder, or make it writable: the service then saves them")
	}
	r.unsaved = err != nil
}

// findingLinks returns the links on which routers are found, by name.
func findingLinks(s uplinks.Settings, f uplinks.Facts) map[string]foundLink {
	links := map[string]foundLink{}
	if !s.FindsRouters() {
		return links
	}
	all := s.WithFoundRouters(f)
	known := all.RoutersOf(f)
	for _, u := range s.Uplinks {
		l, there := f.LinkOf(u)
		if !u.AnyRouter || !there || !l.Up || l.MAC == "" || l.PointToPoint {
			continue
		}
		found := foundLink{uplink: u.Name, index: l.Index, near: slices.Clone(unspecified), known: ownAddresses(f, l)}
		for _, o := range all.Uplinks {
			if o.Link == u.Link {
				found.known = append(found.known, known[o.Name]...)
			}
			if o.Link == u.Link && (found.first == 0 || o.ID < found.first) {
				found.first = o.ID
			}
		}
		for _, c := range l.Connected {
			found.near = append(found.near, c.Dst.Masked())
		}
		links[u.Link] = found
	}
	return links
}

// ownAddresses returns the hardware addresses of the link and of those that are stacked on it, such as that of a VRRP instance: a
// frame that pretends to come from one of them must not be answered to this host itself. The frames that a proof injects while a
// router's address is not known come from none at all.
func ownAddresses(f uplinks.Facts, link uplinks.Link) (all []string) {
	all = append(all, net.HardwareAddr(inject.SourceMAC[:]).String())
	for _, l := range f.Links {
		if l.MAC != "" && (l.Index == link.Index || l.Lower == link.Index) {
			all = append(all, egress.MACText(l.MAC))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// retire notes the routers in force that are none any more, because they have become known or are not found any more, with the
// uplink that has their connections from now on. The caller holds the lock.
func (r *routerFinder) retire(s uplinks.Settings, f uplinks.Facts) {
	known := s.RoutersOf(f)
	for _, old := range r.inForce {
		i := slices.IndexFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Name == old.Uplink })
		if i < 0 || slices.Contains(f.FoundRouters, old) {
			continue
		}
		link, first := s.Uplinks[i].Link, s.Uplinks[i].ID
		for _, u := range s.Uplinks {
			if u.Link == link {
				first = min(first, u.ID)
			}
		}
		r.retired[old.ID] = first
		for _, u := range s.Uplinks {
			if u.Link == link && slices.Contains(known[u.Name], old.MAC) {
				r.retired[old.ID] = u.ID
			}
		}
	}
}

// dropUnknown forgets what is known of routers that are not in force, nor about to be. The caller holds the lock.
func (r *routerFinder) dropUnknown(now time.Time) {
	maps.DeleteFunc(r.since, func(known uplinks.FoundRouter, found time.Time) bool {
		return !slices.Contains(r.inForce, known) && now.Sub(found) > maxPendingTime
	})
	maps.DeleteFunc(r.use, func(known uplinks.FoundRouter, _ rtnl.MarkUse) bool { return !slices.Contains(r.inForce, known) })
}
