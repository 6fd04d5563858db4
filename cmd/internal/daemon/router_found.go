package daemon

import (
	"context"
	"slices"
	"time"

	"replypath/health/proof/inject"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// decide looks up the connections of candidates that are due, and takes those that were answered.
func (s *routerSearch) decide(ctx context.Context, now time.Time) {
	mask := s.finder.currentMask()
	for _, c := range s.candidates.due(now) {
		l, listens := s.sockets[c.link]
		if !listens {
			s.candidates.remove(c)
			continue
		}
		if slices.ContainsFunc(c.flows, func(f candidateFlow) bool { return s.lookUps.take(now) && isAnswered(f.Flow, mask) }) {
			s.candidates.remove(c)
			s.take(ctx, c, l.link, now)
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
func (s *routerSearch) take(ctx context.Context, c *candidate, l foundLink, now time.Time) {
	r := s.finder
	if !s.candidates.taken.take(now) {
		return // it is tried again with its next packet
	}
	found, ok := r.table.AddFoundRouter(l.uplink, c.mac, r.staleIDs())
	if ok {
		s.full = false
	} else if s.evict(ctx, l, now) {
		found, ok = r.table.AddFoundRouter(l.uplink, c.mac, nil)
	}
	if !ok {
		s.reportFull(c, l, now)
		return
	}
	r.log.Info("a router was found", "uplink", l.uplink, "interface", c.link, "router", c.mac, "id", found.ID)
	r.mu.Lock()
	r.since[found] = now
	r.mu.Unlock()
	s.pending = append(s.pending, pendingRouter{found, c.link, c.flows, now})
	r.queue.RequestRound("router", uplinks.ChangedScope{})
}

// reportFull says once that there is no id for a router, and again after fullWarnInterval if there have been some meanwhile.
func (s *routerSearch) reportFull(c *candidate, l foundLink, now time.Time) {
	again := !s.full && now.Sub(s.warned) > fullWarnInterval
	if s.full = true; !again {
		return
	}
	s.warned = now
	r := s.finder
	r.mu.Lock()
	number := len(r.ids)
	r.mu.Unlock()
	remedy := "routers without connections are forgotten, and others found"
	if number < uplinks.MaxFoundRouters {
		remedy += "; use a wider mask, such as 0xff00, for more"
	}
	r.log.Warn("all ids for routers are in use: the replies to a further router leave by the gateway of the uplink", "ids", number, "uplink", l.uplink, "interface", c.link, "router", c.mac, "remedy", remedy)
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
