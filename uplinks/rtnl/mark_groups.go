package rtnl

import (
	"cmp"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// markGroups groups the connections whose mark has any of the bits of the mask by their mark.
type markGroups struct {
	mask  marks.Mask
	found map[uint32]*uplinks.MarkedConnections
}

func newMarkGroups(mask marks.Mask) *markGroups {
	return &markGroups{mask, map[uint32]*uplinks.MarkedConnections{}}
}

// add adds a connection, if its mark has bits of the mask.
func (g *markGroups) add(c Connection) {
	if c.Mark&uint32(g.mask) == 0 {
		return
	}
	if g.found[c.Mark] == nil {
		g.found[c.Mark] = &uplinks.MarkedConnections{Mark: c.Mark, Example: c.Original.String()}
	}
	g.found[c.Mark].Count++
}

// sorted returns the groups in order.
func (g *markGroups) sorted() (all []uplinks.MarkedConnections) {
	for _, f := range g.found {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b uplinks.MarkedConnections) int { return cmp.Compare(a.Mark, b.Mark) })
	return all
}
