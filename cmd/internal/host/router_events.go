package host

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// entryReader reads one entry of the neighbour table. *rtnl.NeighbourTable implements it.
type entryReader interface {
	Neighbour(link int, a netip.Addr) (n egress.Neighbour, found bool, err error)
}

// follow learns from a change of the neighbour table, and reports whether an uplink has other hardware addresses since: those of a
// router that goes back and forth between two are learnt once. It learns what the entry has now: events may be older than the last
// reading.
func (m *routerMACs) follow(n egress.Neighbour, table entryReader, now time.Time) (changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, uplink := range m.routers[n.Where()] {
		known := m.learnt[uplink][n.Addr]
		isNew := func(n egress.Neighbour) (mac string, is bool) {
			mac, usable := usableMAC(n)
			return mac, usable && (len(known) == 0 || known[0].MAC != mac)
		}
		if _, is := isNew(n); !is {
			continue
		}
		latest, found, err := table.Neighbour(n.Link, n.Addr)
		mac, is := isNew(latest)
		if err != nil || !found || !is {
			continue // the next reading has it
		}
		before := m.learnt.byUplink(m.links)
		m.learnt[uplink][n.Addr], m.changed = nextMACs(known, mac, now), true
		changed = changed || !maps.EqualFunc(before, m.learnt.byUplink(m.links), slices.Equal)
	}
	if changed {
		m.family = uplinks.FamilyOf(n.Addr)
		m.announce()
	}
	return changed
}

// announce closes the channel of RoutersChanged. The caller holds the lock.
func (m *routerMACs) announce() {
	if m.routersChanged != nil {
		close(m.routersChanged)
		m.routersChanged = nil
	}
}

// latest returns the hardware addresses of the routers of each uplink that shares its link, nil if they were not read for the settings,
// or there are none, and the family whose entry has changed last.
func (m *routerMACs) latest() (byUplink map[string][]string, changed uplinks.Family) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.shared || m.routers == nil {
		return nil, m.family
	}
	return m.learnt.byUplink(m.links), m.family
}

// LatestRouters returns the facts with the routers that are known now: those that events have announced, and those that were found,
// since the facts were read. It saves these, as a service that is killed must not leave one in force that the next one does not know,
// and reads the neighbour table for them, where another program may have such an address. urgent is the family whose replies are wrong
// now: the entries of the other one may still have the address from before.
func (h *Host) LatestRouters(ctx context.Context, f uplinks.Facts) (latest uplinks.Facts, urgent uplinks.Family) {
	macs, urgent := h.routers.latest()
	if macs == nil {
		return f, urgent
	}
	latest = f
	latest.RouterMACs = macs
	latest.FoundRouters = h.found.read(latest, h.lock != nil)
	if !slices.ContainsFunc(latest.FoundRouters, func(r uplinks.FoundRouter) bool { return !slices.Contains(f.FoundRouters, r) }) {
		return latest, urgent
	}
	entries, err := h.links.Neighbours(ctx)
	if err != nil {
		return f, urgent // the next round reports it
	}
	ours, foreign := rtnl.FoundRouterEntries(latest, entries)
	latest.FoundRouters = h.found.setEntries(latest, len(ours), foreign)
	return latest, urgent
}

// RoutersChanged returns a channel that is closed when an event announces another hardware address of a router, or one is found.
func (h *Host) RoutersChanged() <-chan struct{} {
	m := &h.routers
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.routersChanged == nil {
		m.routersChanged = make(chan struct{})
	}
	return m.routersChanged
}

// awaitShared waits until the settings have uplinks that share a link, and returns a context that ends when they change.
func (m *routerMACs) awaitShared(ctx context.Context) (context.Context, context.CancelFunc, error) {
	for {
		m.mu.Lock()
		if m.watched == nil {
			m.watched = make(chan struct{})
		}
		shared, changed := m.shared, m.watched
		m.mu.Unlock()
		if shared {
			current, cancel := context.WithCancel(ctx)
			go func() {
				select {
				case <-changed:
					cancel()
				case <-current.Done():
				}
			}()
			return current, cancel, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// RouterSubject is the subject of changes of the hardware addresses of routers.
const RouterSubject = "router"

// RouterEvents returns the source of the changes of hardware addresses by which uplinks on one link are distinguished.
func (h *Host) RouterEvents() EventSource { return routerEvents{h} }

type routerEvents struct{ host *Host }

func (routerEvents) String() string { return "routers" }

// Watch implements EventSource. Without uplinks that share a link it subscribes to nothing.
func (s routerEvents) Watch(ctx context.Context, handler EventHandler) error {
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return err
	}
	defer table.Close()
	for {
		current, cancel, err := s.host.routers.awaitShared(ctx)
		if err != nil {
			return err
		}
		notify := func() { handler.HandleEvent(Event{Subject: RouterSubject}) }
		err = rtnl.WatchNeighbours(current, notify, func(n egress.Neighbour) {
			if s.host.routers.follow(n, table, time.Now()) || s.host.found.isDamaged(n) {
				notify()
			}
		})
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) {
			return err
		}
	}
}
