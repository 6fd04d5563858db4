package uplinks

import "slices"

// RemovedMoves returns the moves of the connections whose uplink the settings of the last update had, and these have not: no rule leads
// their packets to the uplink any more, and by another one they would leave with its address. Where another uplink has the mark now, by
// another link, only those with an address that it has not are concerned. What an uplink loses with its link, as by a pattern,
// observeAddresses finds. With another mask nothing is known of the marks that connections have.
func (t *OutboundTracker) RemovedMoves(s Settings, f Facts) (moves []Move) {
	before := t.settings
	if !before.Outbound.Enabled() || before.Mask != s.Mask || before.OutboundFlag() != s.OutboundFlag() {
		return nil
	}
	for _, u := range before.Uplinks {
		i := slices.IndexFunc(s.Uplinks, func(now Uplink) bool { return now.ID == u.ID })
		for _, family := range f.Families() {
			serves := i >= 0 && s.Uplinks[i].Manages(family)
			if !u.Manages(family) || serves && (s.Uplinks[i].Link == u.Link || s.Uplinks[i].Name == u.Name) {
				continue
			}
			m := before.move(u, f, family, "it is no longer configured")
			m.Removed, m.LostOnly = true, serves
			if m.Lost = slices.Concat(t.addrs[m.Path].now, t.addrs[m.Path].lost); serves {
				now := slices.Concat(globalAddrs(s.Uplinks[i], f, family), u.VIPs)
				m.Lost = without(m.Lost, now)
			}
			if len(m.Lost) > 0 || !serves {
				moves = append(moves, m)
			}
		}
	}
	return moves
}
