package uplinks

import (
	"net/netip"
	"slices"
)

// Under returns the move as it is to be carried out under settings that may have come after it. Its connections have the mark that their
// link has by now (MoveMark). Where that is another one, or that of an uplink on another link, or no mark of the settings, it concerns
// those connections alone that have an address of its own uplink.
func (m Move) Under(s Settings, f Facts) Move {
	sameMask, began := m.Mask == s.Mask|s.OutboundFlag(), m.Mark
	restrict, others := !sameMask, []netip.Addr(nil)
	for _, u := range s.Uplinks {
		switch mark := s.outboundMark(u); {
		case !u.Manages(m.Family):
		case u.Link == m.Link && !m.Removed:
			if m.Path.Uplink = u.Name; sameMask && mark != began {
				m.Mark, restrict = mark, true
			}
		case mark == began:
			restrict, others = true, slices.Concat(globalAddrs(u, f, m.Family), u.VIPs)
		}
	}
	if restrict && !m.LostOnly {
		m.LostOnly, m.Lost = true, slices.Concat(m.Lost, m.Sources)
	}
	if restrict {
		m.Lost = without(m.Lost, others)
	}
	return m
}
