package explain

import (
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// uplinksOn returns the uplinks on the link.
func (e *Explainer) uplinksOn(link string) (all []uplinks.Uplink) {
	for _, u := range e.settings.Uplinks {
		if u.Link == link {
			all = append(all, u)
		}
	}
	return all
}

// egressUplink returns the uplink by which the packet leaves, and false if it leaves by none. Of several uplinks on one link it is
// the one whose router is the next hop, else the one whose table has the route, else the first.
func (e *Explainer) egressUplink(w Trace) (uplinks.Uplink, bool) {
	all := e.uplinksOn(w.Link())
	if len(all) == 0 {
		return uplinks.Uplink{}, false
	}
	router := w.nextHop()
	i := slices.IndexFunc(all, func(u uplinks.Uplink) bool {
		return router.IsValid() && (router == u.Gateway(w.Packet.Family).Addr || slices.Contains(u.Routers, router))
	})
	if i < 0 && w.Result.Route != nil {
		i = slices.IndexFunc(all, func(u uplinks.Uplink) bool { return e.settings.Table(u) == w.Result.Route.Table })
	}
	return all[max(i, 0)], true
}

// leavesBy reports whether the packet leaves by the uplink.
func (e *Explainer) leavesBy(w Trace, u uplinks.Uplink) bool {
	by, leaves := e.egressUplink(w)
	return leaves && by.Name == u.Name
}

// nextHop returns the router to which the packet is sent, the zero Addr if its destination is on the link or the router is not
// known.
func (w Trace) nextHop() netip.Addr {
	for _, r := range []*rpdb.Route{w.Resolved.Route, w.Result.Route} {
		if r != nil && len(r.Hops) == 1 {
			return r.Hops[0].Via
		}
	}
	return netip.Addr{}
}
