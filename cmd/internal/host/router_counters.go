package host

import (
	"errors"
	"slices"

	"replypath/health"
	"replypath/marks"
	"replypath/marks/routercounters"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// routerCounters reads and writes the table that counts replies by router. It is used by the methods of Host of which one runs at a
// time.
type routerCounters struct {
	settings uplinks.Settings
	refused  refusal
}

// set sets the settings whose replies are counted.
func (r *routerCounters) set(s uplinks.Settings) {
	*r = routerCounters{settings: s}
}

// read adds the table to the state, and to the facts why the kernel refuses it.
func (r *routerCounters) read(facts *uplinks.Facts, state *uplinks.State) error {
	want, wanted := r.settings.RouterCounters(*facts)
	exists, matches, err := routercounters.Read(want)
	switch {
	case errors.Is(err, unix.EPERM) && !wanted:
		return nil
	case err != nil:
		return err
	case exists && matches && wanted:
		state.RouterCounters[want] = true
	case exists:
		state.RouterCounters[marks.RouterCounters{}] = true
	case wanted:
		r.refused.check(func() error { return routercounters.Check(want) })
	}
	facts.RouterCountersRefused = r.refused.text(exists)
	return nil
}

// SetRouterCounters makes the table that counts replies by router. Its counters begin at 0.
func (w *stepWriter) SetRouterCounters(c marks.RouterCounters) {
	w.flush()
	w.host.chains.Lock()
	defer w.host.chains.Unlock()
	w.host.counters.resetRouters()
	w.errs = append(w.errs, w.host.ownGenerations.trackNFT(func() error { return routercounters.Set(c) }))
}

// DelRouterCounters deletes the table that counts replies by router.
func (w *stepWriter) DelRouterCounters() {
	w.flush()
	w.host.chains.Lock()
	defer w.host.chains.Unlock()
	w.host.counters.resetRouters()
	w.errs = append(w.errs, w.host.ownGenerations.trackNFT(routercounters.Delete))
}

// resetRouters prepares for counters of routers that begin at zero.
func (t *replyCounters) resetRouters() {
	for _, counter := range t.byRouter {
		counter.Reset()
	}
	for _, counter := range t.requests {
		counter.Reset()
	}
}

// RouterRequests returns how many packets that begin connections each router of the uplinks with several has sent. The counts go on where
// the kernel's counters restart.
func (h *Host) RouterRequests() (map[health.RouterKey]uint64, error) {
	h.chains.Lock()
	defer h.chains.Unlock()
	packets, err := routercounters.Packets()
	if err != nil {
		return nil, err
	}
	totals := map[health.RouterKey]uint64{}
	for name, now := range packets {
		id, mac, ok := marks.ParseRouterCounter(name)
		if !ok {
			continue
		}
		k := health.RouterKey{ID: id, MAC: mac}
		if h.counters.requests == nil {
			h.counters.requests = map[health.RouterKey]*health.CumulativeCount{}
		}
		if h.counters.requests[k] == nil {
			h.counters.requests[k] = &health.CumulativeCount{}
		}
		totals[k] = h.counters.requests[k].Observe(now)
	}
	return totals, nil
}

// observeRouters puts the counts of the uplinks that share their links in place of those of their links. Where no link is shared it reads
// nothing.
func (t *replyCounters) observeRouters(paths []health.Path, totals map[health.Key]health.ReplyCounts) error {
	if !slices.ContainsFunc(paths, func(p health.Path) bool { return p.SharedLink }) {
		return nil
	}
	packets, err := routercounters.Packets()
	if err != nil {
		return err
	}
	for _, p := range paths {
		symmetric, stray := marks.NFTCounters(p.ID, p.Family == uplinks.IPv6)
		now, exists := packets[symmetric]
		if _, counted := totals[p.Key]; !counted || !exists {
			continue
		}
		if t.byRouter == nil {
			t.byRouter = map[health.Key]*health.CumulativeReplies{}
		}
		if t.byRouter[p.Key] == nil {
			t.byRouter[p.Key] = &health.CumulativeReplies{}
		}
		totals[p.Key] = t.byRouter[p.Key].Observe(health.ReplyCounts{Symmetric: now, Stray: packets[stray]})
		t.last[p.Key] = packets[stray]
	}
	return nil
}
