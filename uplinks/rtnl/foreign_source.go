package rtnl

import (
	"cmp"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// foreignSourceGroups groups the connections that began inside and leave by an uplink with a source of another one, or of none.
type foreignSourceGroups struct {
	settings uplinks.Settings
	facts    uplinks.Facts
	flag     uint32 // of the marks of connections that began inside; 0: there are none
	known    map[markedSource]sourceOwner
	all      []uplinks.ForeignSource
}

// markedSource is the source with which connections with a mark leave.
type markedSource struct {
	mark   uint32
	source netip.Addr
}

// sourceOwner says whether a source is in the networks of the uplink that its connections leave by.
type sourceOwner struct {
	own    bool
	uplink string
}

func newForeignSourceGroups(s uplinks.Settings, f uplinks.Facts) *foreignSourceGroups {
	g := &foreignSourceGroups{settings: s, facts: f, known: map[markedSource]sourceOwner{}}
	if s.Outbound.Enabled() {
		g.flag = uint32(s.OutboundFlag())
	}
	return g
}

// add adds a connection, if it leaves with a foreign source.
func (g *foreignSourceGroups) add(c Connection) {
	source := c.Reply.To.Addr()
	if g.flag == 0 || c.Mark&g.flag == 0 || source.IsLinkLocalUnicast() {
		return
	}
	key := markedSource{c.Mark & uint32(g.settings.Mask), source}
	owner, known := g.known[key]
	if !known {
		owner.own, owner.uplink = g.settings.OwnSource(g.facts, marks.Mark(c.Mark), source)
		g.known[key] = owner
	}
	if owner.own {
		return
	}
	i := slices.IndexFunc(g.all, func(o uplinks.ForeignSource) bool { return o.Uplink == owner.uplink && o.Source == source })
	if i < 0 {
		i = len(g.all)
		g.all = append(g.all, uplinks.ForeignSource{Uplink: owner.uplink, Source: source, Translated: c.TranslatesSource(), Example: c.Original.String()})
	}
	g.all[i].Count++
}

// sorted returns the groups in order.
func (g *foreignSourceGroups) sorted() []uplinks.ForeignSource {
	slices.SortFunc(g.all, func(a, b uplinks.ForeignSource) int {
		return cmp.Or(cmp.Compare(a.Uplink, b.Uplink), a.Source.Compare(b.Source))
	})
	return g.all
}
