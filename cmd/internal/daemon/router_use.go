package daemon

import (
	"context"
	"maps"
	"slices"
	"time"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

const (
	// countInterval is the time between two counts of the connections of found routers, of which a router without any is forgotten
	// when it is older than unusedTime.
	countInterval = 10 * time.Second
	unusedTime    = 30 * time.Second
	// A count may take this part of the time, as the kernel walks its whole table for it.
	maxCountShare    = 200
	fullWarnInterval = 10 * time.Minute
	// When all ids are in use, a router takes that of another one after evictionPause at the earliest: what is live is counted anew
	// for it. A connection that has begun evictionAge ago and is not established by then never will be.
	evictionPause = 5 * time.Second
	evictionAge   = 10 * time.Second
)

// evict forgets the oldest router without a live connection, if it is older than evictionAge, unless the count of connections has freed
// an id already.
func (s *routerSearch) evict(ctx context.Context, l foundLink, now time.Time) bool {
	if now.Sub(s.evicted) < evictionPause || now.Before(s.counted) {
		return false
	}
	s.evicted = now
	r := s.finder
	if s.countUse(ctx) {
		return true
	}
	r.mu.Lock()
	var oldest uplinks.FoundRouter
	for _, f := range r.inForce {
		since, fresh := r.since[f]
		if r.use[f].Live > 0 || fresh && now.Sub(since) < evictionAge {
			continue
		}
		if oldest.ID == 0 || since.Before(r.since[oldest]) {
			oldest = f
		}
	}
	mask := r.mask
	r.mu.Unlock()
	if oldest.ID == 0 {
		return false
	}
	r.forget([]uplinks.FoundRouter{oldest})
	if err := r.table.MoveMark(mask.Mark(oldest.ID), mask.Mark(l.first), mask); err != nil {
		r.log.Debug("cannot mark the connections of a router that is forgotten", "router", oldest.MAC, "err", err)
	}
	r.log.Info("a router without live connections is forgotten for another one", "uplink", oldest.Uplink, "router", oldest.MAC, "id", oldest.ID)
	return true
}

// forget takes the ids of routers back.
func (r *routerFinder) forget(all []uplinks.FoundRouter) {
	r.table.ForgetFoundRouters(all)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range all {
		delete(r.since, f)
		delete(r.use, f)
	}
	r.inForce = slices.DeleteFunc(r.inForce, func(f uplinks.FoundRouter) bool { return slices.Contains(all, f) })
}

// moveRetired gives the connections of routers that are none any more the marks of the uplinks that have them now.
func (r *routerFinder) moveRetired() {
	r.mu.Lock()
	retired, mask := r.retired, r.mask
	r.retired = map[marks.ID]marks.ID{}
	r.mu.Unlock()
	for from, to := range retired {
		if err := r.table.MoveMark(mask.Mark(from), mask.Mark(to), mask); err != nil {
			r.log.Debug("cannot mark the connections of a router that is none any more", "id", from, "err", err)
		}
	}
}

// beginCounts says that the connections are counted from now on. Marks of an earlier service, or of the other node of a pair, may be of
// ids that no router has: until the first count, all are.
func (r *routerFinder) beginCounts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = make(map[marks.ID]bool, len(r.ids))
	for _, id := range r.ids {
		r.stale[id] = true
	}
}

// staleIDs returns the ids of no router that connections may have, as those of an earlier service.
func (r *routerFinder) staleIDs() map[marks.ID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.stale)
}

// countUse counts the connections of the routers in force, and forgets those that have none. It reports whether there were such.
func (s *routerSearch) countUse(ctx context.Context) (forgotten bool) {
	began := time.Now()
	forgotten = s.finder.countUse(ctx, began)
	pause := max(countInterval, maxCountShare*time.Since(began))
	s.counted = began.Add(pause - countInterval)
	if s.count != nil {
		s.count.Reset(pause)
	}
	return forgotten
}

// countUse does the work of a count.
func (r *routerFinder) countUse(ctx context.Context, now time.Time) (forgotten bool) {
	r.mu.Lock()
	routers, mask := slices.Clone(r.inForce), r.mask
	ids := slices.Collect(maps.Keys(r.stale))
	r.mu.Unlock()
	for _, f := range routers {
		ids = append(ids, f.ID)
	}
	if len(ids) == 0 {
		return false
	}
	use, err := r.inUse(ctx, commonMarks(ids, mask), mask)
	if err != nil {
		r.log.Debug("cannot count the connections of found routers", "err", err)
		return false
	}
	var unused []uplinks.FoundRouter
	r.mu.Lock()
	for _, f := range routers {
		if _, known := r.since[f]; !known {
			r.since[f] = now // remembered from before the service has started
		}
		r.use[f] = use[mask.Mark(f.ID)]
		if r.use[f].Connections == 0 && now.Sub(r.since[f]) > unusedTime {
			unused = append(unused, f)
		}
	}
	maps.DeleteFunc(r.stale, func(id marks.ID, _ bool) bool {
		return use[mask.Mark(id)].Connections == 0 || slices.ContainsFunc(routers, func(f uplinks.FoundRouter) bool { return f.ID == id })
	})
	r.mu.Unlock()
	if len(unused) == 0 {
		return false
	}
	r.forget(unused)
	for _, f := range unused {
		r.log.Info("a router without connections is forgotten", "uplink", f.Uplink, "router", f.MAC, "id", f.ID)
	}
	r.queue.RequestRound("router", uplinks.ChangedScope{})
	return true
}

// commonMarks returns the filter of the bits that the marks of all ids have: the kernel passes over other connections.
func commonMarks(ids []marks.ID, mask marks.Mask) rtnl.MarkFilter {
	common := marks.Mark(mask)
	for _, id := range ids {
		common &= mask.Mark(id)
	}
	return rtnl.MarkFilter{Mark: common, Mask: marks.Mask(common)}
}

// status returns the routers in force that were found on the uplink's link.
func (r *routerFinder) status(uplink string) (all []health.FoundRouter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.inForce {
		if f.Uplink == uplink {
			all = append(all, health.FoundRouter{MAC: f.MAC, ID: int(f.ID), Since: r.since[f], Connections: r.use[f].Connections})
		}
	}
	return all
}
