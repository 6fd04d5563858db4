package uplinks

import (
	"net/netip"
	"slices"
)

// Under returns the move as it is to be carried out under settings that may have come after it. Where its mark is that of an uplink on
// another link by now, or no mark of theirs, it concerns those connections alone that have an address of its own uplink.
func (m Move) Under(s Settings, f Facts) Move {
	taken, now := m.Mask != s.Mask|s.OutboundFlag(), []netip.Addr(nil)
	for _, u := range s.Uplinks {
		switch {
		case u.Link == m.Link:
			m.Path.Uplink = u.Name
		case u.Manages(m.Family) && s.outboundMark(u) == m.Mark:
			taken, now = true, slices.Concat(globalAddrs(u, f, m.Family), u.VIPs)
		}
	}
	if taken {
		m.LostOnly = true
		m.Lost = without(slices.Concat(m.Lost, m.Sources), now)
	}
	return m
}
