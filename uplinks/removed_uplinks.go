package uplinks

import "slices"

// removedMoves returns the moves of the connections whose uplink the settings before had, and these have not: no rule leads their packets to
// the uplink any more, and by another one they would leave with its address. Where another link has the mark now, only those with an address
// that the uplink had are concerned. With another mask nothing is known of the marks that connections have.
func (t *OutboundTracker) removedMoves(s Settings, f Facts) (moves []Move) {
	before := t.settings
	if !before.Outbound.Enabled() || before.Mask != s.Mask || before.OutboundFlag() != s.OutboundFlag() {
		return nil
	}
	for _, u := range before.Uplinks {
		i := slices.IndexFunc(s.Uplinks, func(now Uplink) bool { return now.ID == u.ID })
		for _, family := range f.Families() {
			serves := i >= 0 && s.Uplinks[i].Manages(family)
			if !u.Manages(family) || serves && s.Uplinks[i].Link == u.Link {
				continue
			}
			m := before.move(u, f, family, "it is no longer configured")
			m.Removed, m.LostOnly = true, serves
			m.Lost = slices.Concat(t.addrs[m.Path].now, t.addrs[m.Path].lost)
			moves = append(moves, m)
		}
	}
	return moves
}
