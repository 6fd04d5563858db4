package rtnl

import (
	"cmp"
	"context"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// ForeignSources returns the connections that began inside and leave by an uplink with a source of another one, or of none,
// grouped. It reads at most limit connections. It needs CAP_NET_ADMIN.
func ForeignSources(ctx context.Context, s uplinks.Settings, f uplinks.Facts, limit int) (all []uplinks.ForeignSource, err error) {
	flag := s.OutboundFlag()
	if !s.Outbound.Enabled() || flag == 0 {
		return nil, nil
	}
	read, err := ConnectionsWithMark(ctx, MarkFilter{Mark: marks.Mark(flag), Mask: flag}, limit)
	if err != nil {
		return nil, err
	}
	for _, c := range read {
		source := c.Reply.To.Addr()
		own, uplink := s.OwnSource(f, marks.Mark(c.Mark), source)
		if own || source.IsLinkLocalUnicast() {
			continue
		}
		i := slices.IndexFunc(all, func(o uplinks.ForeignSource) bool { return o.Uplink == uplink && o.Source == source })
		if i < 0 {
			i = len(all)
			all = append(all, uplinks.ForeignSource{Uplink: uplink, Source: source, Translated: source != c.Original.From.Addr(), Example: c.Original.String()})
		}
		all[i].Count++
	}
	slices.SortFunc(all, func(a, b uplinks.ForeignSource) int {
		return cmp.Or(cmp.Compare(a.Uplink, b.Uplink), a.Source.Compare(b.Source))
	})
	return all, nil
}
