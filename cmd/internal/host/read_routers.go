package host

import (
	"context"
	"errors"
	"slices"
	"sync"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// readRouters adds the routers to the facts, and to the state the neighbour entries of those that were found. It looks for entries at
// the first reading too, and as long as there are some: a killed process may have left them without a route to them.
func (h *Host) readRouters(ctx context.Context, facts *uplinks.Facts, state *uplinks.State) (err error) {
	neighbours := sync.OnceValues(func() ([]egress.Neighbour, error) { return h.links.Neighbours(ctx) })
	if facts.RouterMACs, err = h.routers.read(*facts, neighbours, h.lock != nil); err != nil {
		return err
	}
	facts.FoundRouters = h.found.read(*facts, h.lock != nil)
	if err := h.UnsavedRouters(); err != nil && !h.isService {
		return err
	}
	if len(facts.FoundRouters) == 0 && !state.LeadsToFoundRouter() && h.found.hasNoEntries() {
		return nil
	}
	entries, err := neighbours()
	if err != nil {
		return err
	}
	ours, foreign := rtnl.FoundRouterEntries(*facts, entries)
	state.Neighbours = ours
	facts.FoundRouters = h.found.setEntries(*facts, len(ours), foreign)
	return nil
}

// UnsavedRouters returns why the routers that were learnt or found are not saved, nil when they are. The files only save time after a
// restart: the service works on without them.
func (h *Host) UnsavedRouters() error {
	h.routers.mu.Lock()
	learnt := h.routers.unsaved
	h.routers.mu.Unlock()
	h.found.mu.Lock()
	defer h.found.mu.Unlock()
	return errors.Join(learnt, h.found.unsaved)
}

// hasNoEntries reports whether the last reading has found no neighbour entry of a found router.
func (m *foundRouters) hasNoEntries() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.searched && m.entries == 0
}

// setEntries sets how many neighbour entries of found routers there are, and those of other programs at such addresses: the ids of
// these stand for no router, and a router that has one is forgotten. It returns the others of the facts, which are saved, and none that was
// added since: a service that is killed must not leave one in force that the next one does not know.
func (m *foundRouters) setEntries(f uplinks.Facts, number int, foreign map[uplinks.NeighbourKey]bool) []uplinks.FoundRouter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.searched, m.entries, m.foreign = true, number, foreign
	if len(foreign) > 0 {
		s := m.settings.ResolveLinks(f)
		before := len(m.all)
		m.all = slices.DeleteFunc(m.all, func(r uplinks.FoundRouter) bool {
			i := slices.IndexFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Name == r.Uplink })
			return i >= 0 && slices.ContainsFunc(uplinks.Families[:], func(family uplinks.Family) bool {
				return foreign[uplinks.NeighbourKey{Link: s.Uplinks[i].Link, Addr: uplinks.FoundRouterAddr(family, r.ID)}]
			})
		})
		m.changed = m.changed || len(m.all) != before
	}
	return slices.DeleteFunc(slices.Clone(f.FoundRouters), func(r uplinks.FoundRouter) bool { return !slices.Contains(m.all, r) })
}

// isForeign reports whether another program has a neighbour entry at an address that stands for the id.
func (m *foundRouters) isForeign(id marks.ID) bool {
	for k := range m.foreign {
		if uplinks.FoundRouterAddr(uplinks.FamilyOf(k.Addr), id) == k.Addr {
			return true
		}
	}
	return false
}
