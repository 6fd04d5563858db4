package rtnl

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// within is which routes are asked for: those of a table, by a link, or both. The zero within is all.
type within struct {
	table uplinks.Table
	link  int
}

// by reports whether what leads by the link is asked for.
func (in within) by(link int) bool { return in.link == 0 || in.link == link }

// listRoutes has a family's routes taken, one by one, each time from anew when the list was interrupted.
func (h *Handle) listRoutes(ctx context.Context, f uplinks.Family, in within, anew func(), take func(*listed)) error {
	return dump(ctx, f.String()+" routes", func() error {
		req := h.request(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(number(f))}})
		if in.table != 0 {
			req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(in.table))))
		}
		if in.link != 0 {
			req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(in.link))))
		}
		anew()
		return each(req, unix.RTM_NEWROUTE, func(m []byte) error {
			r, err := readListed(m, f)
			if err == nil {
				take(&r)
			}
			return err
		})
	})
}

// readRoutes reads a family's routes: what they say of links, and those that are ours or in our tables, wherever there is
// something to be filled in.
func (h *Handle) readRoutes(ctx context.Context, f uplinks.Family, in within, facts *uplinks.Facts, have *uplinks.State) error {
	var kept crop
	err := h.listRoutes(ctx, f, in, func() { kept = newCrop(f) }, func(r *listed) {
		if h.concerns(r) {
			kept.take(r)
		}
	})
	var objects map[uint32]nexthop
	if err == nil && facts != nil {
		objects, err = fillHops(ctx, kept.routes)
	}
	if err != nil {
		return err
	}
	for i := range kept.routes {
		r := &kept.routes[i]
		if have != nil && h.inTables(r) {
			addRoute(have, f, r, h.names)
		}
		if facts != nil && r.protocol != uplinks.Protocol {
			h.objects.note(r, objects)
			addFacts(facts, f, r, in, h.names, h.ourTable(r.table))
		}
	}
	if facts == nil {
		return nil
	}
	for link, n := range kept.left {
		if name := h.names[link]; facts.Links[name].Index == link && in.by(link) {
			facts.Unlisted[name] += n
		}
	}
	for name, l := range facts.Links {
		slices.SortStableFunc(l.Defaults, preferred)
		facts.Links[name] = l
	}
	return nil
}

// inTables reports whether a route is ours or stands in one of our tables.
func (h *Handle) inTables(r *listed) bool {
	return r.protocol == uplinks.Protocol || h.ourTable(r.table)
}

func (h *Handle) ourTable(t uplinks.Table) bool {
	base := uplinks.Table(h.tableBase.Load())
	return base != 0 && t > base && t <= base+marks.MaxID
}

// concerns keeps a full routing table of somebody else's out of memory.
func (h *Handle) concerns(r *listed) bool {
	return h.inTables(r) || r.kind == uplinks.Unicast && (r.table == uplinks.MainTable || r.isDefault()) || r.bars()
}

// addRoute counts on the kernel listing routes with one key in the order in which it asks them.
func addRoute(have *uplinks.State, f uplinks.Family, r *listed, names map[int]string) {
	key := uplinks.RouteKey{Family: f, Table: r.table, Dst: r.dst, Metric: r.metric}
	for have.Routes[key] != (uplinks.Route{}) {
		key.Nth++
	}
	have.Routes[key] = route(r, names)
}

func route(r *listed, names map[int]string) uplinks.Route {
	out := uplinks.Route{Type: r.kind, Src: r.src, MTU: r.mtu, AdvMSS: r.advMSS, Protocol: r.protocol, TOS: r.tos, From: r.from, Other: r.rest()}
	// By its hop the kernel does not find a route by an object. An unreachable route of IPv6 it hangs on the loopback link.
	if r.nexthop == 0 {
		out.Gateway, out.OnLink = r.hop.via, r.hop.flags&unix.RTNH_F_ONLINK != 0
	}
	if r.nexthop == 0 && out.Type == uplinks.Unicast {
		out.Link = names[r.hop.link]
	}
	return out
}

// addFacts notes what a route of others says about its links, or about the one for which it was asked.
func addFacts(facts *uplinks.Facts, f uplinks.Family, r *listed, in within, names map[int]string, told bool) {
	if r.bars() && facts.Only == nil {
		facts.Barred[f] = true
	}
	if r.kind != uplinks.Unicast || r.tos != 0 {
		return // by one for a type of service the others do not go
	}
	for hop := range r.hops() {
		if in.by(hop.link) {
			addHop(facts, f, r, hop, names[hop.link], told)
		}
	}
}

// addHop notes what a hop says of its link. A route of several keeps the hops whose links are down, but none leads there.
func addHop(facts *uplinks.Facts, f uplinks.Family, r *listed, hop hop, link string, told bool) {
	l, ok := facts.Links[link]
	if !ok || !l.Up {
		return
	}
	main := r.table == uplinks.MainTable
	if main && hop.via.IsValid() {
		facts.Routed = append(facts.Routed, uplinks.Routed{Dst: r.dst, Gateway: hop.via, Link: link})
	}
	switch {
	case r.isDefault():
		l.Defaults = append(l.Defaults, uplinks.NextHop{
			Family: f, Table: r.table, Metric: r.metric, Gateway: hop.via,
			OnLink: hop.flags&unix.RTNH_F_ONLINK != 0, MTU: r.mtu, AdvMSS: r.advMSS, Preference: preference(r.pref),
			Learnt: r.protocol == unix.RTPROT_DHCP || r.protocol == unix.RTPROT_RA,
		})
	case told && hop.via.IsValid():
		l.Told = append(l.Told, r.dst)
	case main && !hop.via.IsValid() && !repeats(l.Connected, r.dst):
		l.Connected = append(l.Connected, r.dst)
	}
	facts.Links[link] = l
}

// repeats reports whether the prefix is the last one: the kernel lists routes to the same one after the other.
func repeats(all []netip.Prefix, p netip.Prefix) bool { return len(all) > 0 && all[len(all)-1] == p }

// preferred puts main's default routes before those of other tables, and each table's in the kernel's order.
func preferred(a, b uplinks.NextHop) int {
	other := func(h uplinks.NextHop) int {
		if h.Table == uplinks.MainTable {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Family, b.Family),
		cmp.Compare(other(a), other(b)),
		cmp.Compare(a.Table, b.Table),
		cmp.Compare(a.Metric, b.Metric),
		cmp.Compare(b.Preference, a.Preference),
	)
}

// preference is what the kernel's two bits say (linux/icmpv6.h, ICMPV6_ROUTER_PREF_LOW): a signed number (RFC 4191, 2.1).
func preference(bits uint8) int8 { return int8(bits<<6) >> 6 }
