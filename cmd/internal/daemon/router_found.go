package daemon

import (
	"context"
	"slices"
	"time"

	"replypath/health"
	"replypath/health/proof/inject"
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
	fullWarnInterval = time.Minute
)

// decide looks up the connections of candidates that are due, and takes those that were answered.
func (s *routerSearch) decide(now time.Time) {
	mask := s.finder.currentMask()
	for _, c := range s.candidates.due(now) {
		l, listens := s.sockets[c.link]
		if !listens {
			s.candidates.remove(c)
			continue
		}
		if slices.ContainsFunc(c.flows, func(f candidateFlow) bool { return isAnswered(f.Flow, mask) }) {
			s.candidates.remove(c)
			s.take(c, l.link, now)
		}
	}
}

// currentMask returns the mask of the last round.
func (r *routerFinder) currentMask() marks.Mask {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mask
}

// inboundConnection returns the connection that has begun with the flow, if it came in by an uplink.
func inboundConnection(f rtnl.Flow, mask marks.Mask) (c rtnl.Connection, found bool) {
	c, err := rtnl.FindConnection(f)
	return c, err == nil && c.Original == f && c.Mark&uint32(mask) != 0
}

// isAnswered reports whether the connection came in by an uplink, and a reply to it was sent.
func isAnswered(f rtnl.Flow, mask marks.Mask) bool {
	c, found := inboundConnection(f, mask)
	return found && c.SeenReply
}

// take gives the candidate an id, and requests the round that puts it in force.
func (s *routerSearch) take(c *candidate, l foundLink, now time.Time) {
	r := s.finder
	if !s.candidates.take(now) {
		return // it is tried again with its next packet
	}
	found, ok := r.table.AddFoundRouter(l.uplink, c.mac)
	if !ok && r.evict(now) {
		found, ok = r.table.AddFoundRouter(l.uplink, c.mac)
	}
	if !ok {
		if now.Sub(s.warned) > fullWarnInterval {
			s.warned = now
			r.log.Warn("all ids for routers are in use: replies to a router leave by the gateway", "uplink", l.uplink, "interface", c.link, "router", c.mac,
				"remedy", "use a wider mask, such as 0xff00; routers without connections are forgotten")
		}
		return
	}
	r.log.Info("a router was found", "uplink", l.uplink, "interface", c.link, "router", c.mac, "id", found.ID)
	r.mu.Lock()
	r.since[found] = now
	r.mu.Unlock()
	s.pending = append(s.pending, pendingRouter{found, c.link, c.flows, now})
	r.queue.RequestRound("router", uplinks.ChangedScope{})
}

// complete gives the connections of a router that is in force its mark, and makes the host answer their handshakes again: what it
// sent before has left by the gateway.
func (s *routerSearch) complete(p pendingRouter) {
	l, listens := s.sockets[p.link]
	if !listens {
		return
	}
	mask := s.finder.currentMask()
	for _, f := range p.flows {
		c, found := inboundConnection(f.Flow, mask)
		if !found {
			continue
		}
		if err := rtnl.MarkConnection(f.Flow, mask.Mark(p.ID), mask); err != nil {
			s.finder.log.Debug("cannot mark a connection of a router", "router", p.MAC, "err", err)
			continue
		}
		if f.syn != nil && c.State == "SYN_RECV" {
			s.repeat(l.link.index, f)
		}
	}
}

// openInjector loads the program that repeats packets, unless the kernel has refused it before.
func (s *routerSearch) openInjector() {
	if s.injector != nil || s.refused {
		return
	}
	var err error
	if s.injector, err = inject.Open(0); err != nil {
		s.refused = true
		s.finder.log.Debug("cannot repeat the first packet of a connection: its client will", "err", err)
	}
}

// repeat lets the host receive a TCP SYN once more, as if the client had repeated it.
func (s *routerSearch) repeat(link int, f candidateFlow) {
	if s.injector == nil {
		return
	}
	addrs := inject.FrameAddrs{MAC: f.to, Sender: f.from, From: f.From, To: f.To}
	if err := s.injector.Receive(link, addrs.Segment(f.syn)); err != nil {
		s.finder.log.Debug("cannot repeat the first packet of a connection: its client will", "err", err)
	}
}

// evict forgets the oldest router without an assured connection, if it is older than evictionAge.
func (r *routerFinder) evict(now time.Time) bool {
	r.mu.Lock()
	var oldest uplinks.FoundRouter
	for _, f := range r.force {
		since, fresh := r.since[f]
		if r.use[f].Assured > 0 || fresh && now.Sub(since) < evictionAge {
			continue
		}
		if oldest.ID == 0 || since.Before(r.since[oldest]) {
			oldest = f
		}
	}
	r.mu.Unlock()
	if oldest.ID == 0 {
		return false
	}
	r.forget([]uplinks.FoundRouter{oldest})
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
	r.force = slices.DeleteFunc(r.force, func(f uplinks.FoundRouter) bool { return slices.Contains(all, f) })
}

// countUse counts the connections of the routers in force, and forgets those that have none.
func (s *routerSearch) countUse(ctx context.Context) {
	began := time.Now()
	s.finder.countUse(ctx, began)
	s.count.Reset(max(countInterval, maxCountShare*time.Since(began)))
}

// countUse does the work of a count.
func (r *routerFinder) countUse(ctx context.Context, now time.Time) {
	r.mu.Lock()
	force, mask := slices.Clone(r.force), r.mask
	r.mu.Unlock()
	if len(force) == 0 {
		return
	}
	use, err := r.inUse(ctx, commonMarks(force, mask), mask)
	if err != nil {
		r.log.Debug("cannot count the connections of found routers", "err", err)
		return
	}
	var unused []uplinks.FoundRouter
	r.mu.Lock()
	for _, f := range force {
		if _, known := r.since[f]; !known {
			r.since[f] = now // remembered from before the service has started
		}
		r.use[f] = use[mask.Mark(f.ID)]
		if r.use[f].Connections == 0 && now.Sub(r.since[f]) > unusedTime {
			unused = append(unused, f)
		}
	}
	r.mu.Unlock()
	if len(unused) == 0 {
		return
	}
	r.forget(unused)
	for _, f := range unused {
		r.log.Info("a router without connections is forgotten", "uplink", f.Uplink, "router", f.MAC, "id", f.ID)
	}
	r.queue.RequestRound("router", uplinks.ChangedScope{})
}

// commonMarks returns the filter of the bits that the marks of all routers have: the kernel passes over other connections.
func commonMarks(all []uplinks.FoundRouter, mask marks.Mask) rtnl.MarkFilter {
	common := marks.Mark(mask)
	for _, f := range all {
		common &= mask.Mark(f.ID)
	}
	return rtnl.MarkFilter{Mark: common, Mask: marks.Mask(common)}
}

// status returns the routers in force that were found on the uplink's link.
func (r *routerFinder) status(uplink string) (all []health.FoundRouter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.force {
		if f.Uplink == uplink {
			all = append(all, health.FoundRouter{MAC: f.MAC, ID: int(f.ID), Since: r.since[f], Connections: r.use[f].Connections})
		}
	}
	return all
}
