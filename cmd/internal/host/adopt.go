package host

import (
	"errors"
	"net/netip"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// adopt gives the connections that began before the chains were loaded the mark that these would have given them: it reads the
// connections without a mark of each family once.
func adopt(all []uplinks.Pinned) error {
	byAddr := map[netip.Addr]uplinks.Pinned{}
	filters := map[rtnl.MarkFilter]bool{}
	for _, p := range all {
		byAddr[p.To] = p
		filters[rtnl.MarkFilter{Family: uplinks.FamilyOf(p.To), Mask: p.Unowned}] = true
	}
	var w rtnl.ConnectionWriter
	for filter := range filters {
		err := rtnl.EachMarked(filter, func(c rtnl.TrackedConnection) {
			if p, ours := byAddr[c.Reply.To.Addr()]; ours {
				w.SetMark(c, p.Mark, p.Mask)
			}
		})
		if err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// deleteUntranslated deletes the connections that began while their source was not translated: the kernel decides on the translation
// by the first packet of a connection alone, and conntrack keeps the others of a stream without reply as they are for as long as it
// goes on.
func deleteUntranslated(u *uplinks.Untranslated) error {
	if u == nil {
		return nil
	}
	found, err := rtnl.FlowsOf(rtnl.MarkFilter{Family: u.Family}, func(c rtnl.Connection) bool {
		return !c.SeenReply && !c.TranslatesSource() && u.Has(c.Original.From.Addr(), marks.Mark(c.Mark))
	})
	return errors.Join(err, rtnl.DeleteConnections(found))
}
