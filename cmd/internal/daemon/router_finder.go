package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health/proof/inject"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// foundRouterTable keeps the ids of routers that were found. *host.Host implements it.
type foundRouterTable interface {
	// AddFoundRouter gives a router an id, one that is not to be avoided if there is one. ok is false when there is none.
	AddFoundRouter(uplink, mac string, avoid map[marks.ID]bool) (r uplinks.FoundRouter, ok bool)
	ForgetFoundRouters(all []uplinks.FoundRouter)
	// MoveMark gives the connections with a mark another one.
	MoveMark(from, to marks.Mark, mask marks.Mask) error
	// UnsavedRouters returns why the routers are not on disk.
	UnsavedRouters() error
}

// routerFinder finds the routers on the links of uplinks with AnyRouter. It listens for packets from senders that are no known
// router, and gives an id to one as soon as a connection that it sent has been answered. Once a round has put the id in force, the
// connections that it has seen get its mark, and a TCP handshake that has begun is answered again, by that router. Routers whose
// marks no connection has any more are forgotten. Safe for concurrent use.
type routerFinder struct {
	table foundRouterTable // nil: the kernel of a test finds none
	queue *roundQueue
	log   *slog.Logger
	inUse func(ctx context.Context, f rtnl.MarkFilter, mask marks.Mask) (map[marks.Mark]rtnl.MarkUse, error)

	mu      sync.Mutex
	links   map[string]foundLink                 // by name, as the last round has observed them
	inForce []uplinks.FoundRouter                // that the last round has put in force
	use     map[uplinks.FoundRouter]rtnl.MarkUse // their connections, at the last count
	since   map[uplinks.FoundRouter]time.Time    // when they were found, since the service has started
	retired map[marks.ID]marks.ID                // of routers that are none any more: whose connections theirs are now
	stale   map[marks.ID]bool                    // ids of no router that connections may have; nil before the first count
	ids     []marks.ID                           // that routers can have
	mask    marks.Mask
	unsaved bool // the routers could not be saved at the last round
	wake    chan struct{}
}

// foundLink is a link on which routers are found.
type foundLink struct {
	uplink string
	first  marks.ID // of the uplinks on the link: what unknown routers send is marked as of that one
	index  int
	known  []string       // hardware addresses of routers, and of this host
	near   []netip.Prefix // whose hosts are on the link
}

// equal reports whether the kernel drops the same frames for both.
func (l foundLink) equal(o foundLink) bool {
	return l.index == o.index && slices.Equal(l.known, o.known) && slices.Equal(l.near, o.near)
}

func newRouterFinder(table foundRouterTable, queue *roundQueue, log *slog.Logger) *routerFinder {
	return &routerFinder{table: table, queue: queue, log: log, inUse: rtnl.MarksInUse, use: map[uplinks.FoundRouter]rtnl.MarkUse{},
		since: map[uplinks.FoundRouter]time.Time{}, retired: map[marks.ID]marks.ID{}, wake: make(chan struct{}, 1)}
}

// Run finds and forgets routers until the context ends.
func (r *routerFinder) Run(ctx context.Context) error {
	if r.table == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	search := routerSearch{finder: r, frames: make(chan linkFrame), sockets: map[string]*linkSockets{}, count: time.NewTicker(countInterval), lookUps: tokenBucket{burst: lookUpBurst, rate: lookUpRate}}
	search.candidates.taken = tokenBucket{burst: routerBurst, rate: routerRate}
	search.count.Stop() // until there is a link to listen on
	defer search.close()
	for {
		if err := search.step(ctx); err != nil {
			return err
		}
	}
}

// routerSearch is the state of the goroutine of Run.
type routerSearch struct {
	finder     *routerFinder
	frames     chan linkFrame
	sockets    map[string]*linkSockets // by link
	candidates candidates
	pending    []pendingRouter
	injector   *inject.Injector // nil: none is loaded, or none can be
	refused    bool             // no injector can be loaded
	count      *time.Ticker
	counting   bool        // the ticker runs
	lookUps    tokenBucket // of connections of candidates
	counted    time.Time   // when the connections of routers were counted last
	evicted    time.Time   // when a router has last taken the id of another one
	full       bool        // no id was left for the last router
	warned     time.Time   // of a full table
}

// linkFrame is a frame that came in by a link.
type linkFrame struct {
	link  string
	frame []byte
}

// linkSockets are the sockets of a link, one for each family.
type linkSockets struct {
	link    foundLink
	sockets []*host.FrameSocket
}

// pendingRouter is a router that was found, whose id is not in force yet.
type pendingRouter struct {
	uplinks.FoundRouter
	link  string
	flows []candidateFlow
	since time.Time
}

// step waits for the next thing to do, and does it.
func (s *routerSearch) step(ctx context.Context) error {
	var check <-chan time.Time
	if wait := s.candidates.nextCheck(time.Now()); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		check = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.finder.wake:
		s.follow(ctx)
	case f := <-s.frames:
		s.receive(f)
	case <-check:
	case <-s.count.C:
		s.countUse(ctx)
	}
	s.decide(ctx, time.Now())
	return nil
}

// receive takes a frame. What was on its way when its sender became known is left out, and a router that is not in force yet gets
// another connection.
func (s *routerSearch) receive(f linkFrame) {
	p, ok := parseFrame(f.frame)
	l, listens := s.sockets[f.link]
	if !ok || !listens || slices.Contains(l.link.known, p.mac) {
		return
	}
	i := slices.IndexFunc(s.pending, func(o pendingRouter) bool { return o.link == f.link && o.MAC == p.mac })
	if i < 0 {
		s.candidates.add(f.link, p, time.Now())
	} else if known := &s.pending[i]; len(known.flows) < maxPendingFlows {
		known.flows = append(known.flows, p.candidateFlow)
	}
}

// follow adapts the sockets to the last round, and completes the routers that it has put in force.
func (s *routerSearch) follow(ctx context.Context) {
	s.finder.mu.Lock()
	links, routers := s.finder.links, s.finder.inForce
	s.finder.mu.Unlock()
	for name, now := range s.sockets {
		if links[name].index != now.link.index {
			now.close()
			delete(s.sockets, name)
		}
	}
	for name, l := range links {
		if err := s.listen(ctx, name, l); err != nil {
			s.finder.log.Warn("cannot listen for packets of unknown routers", "interface", name, "err", err)
		}
	}
	s.finder.moveRetired()
	if counting := len(links) > 0; counting != s.counting {
		s.counting = counting
		s.count.Stop()
		if counting {
			s.finder.beginCounts()
			s.countUse(ctx)
		}
	}
	now := time.Now()
	s.pending = slices.DeleteFunc(s.pending, func(p pendingRouter) bool {
		inForce := slices.Contains(routers, p.FoundRouter)
		if inForce {
			s.complete(p)
		}
		return inForce || now.Sub(p.since) > maxPendingTime
	})
}

// listen opens the sockets of a link, or replaces their filters.
func (s *routerSearch) listen(ctx context.Context, name string, l foundLink) error {
	now, open := s.sockets[name]
	if !open {
		now = &linkSockets{}
		for _, family := range uplinks.Families {
			socket, err := host.OpenFrameSocket(l.index, family, l.known, l.near)
			if err != nil {
				now.close()
				return err
			}
			now.sockets = append(now.sockets, socket)
			go s.read(ctx, name, socket)
		}
		s.openInjector()
		s.sockets[name] = now
	} else if !now.link.equal(l) {
		for _, socket := range now.sockets {
			if err := socket.Filter(l.known, l.near); err != nil {
				return err
			}
		}
	}
	now.link = l
	return nil
}

// close closes the sockets, which ends their readers.
func (l *linkSockets) close() {
	for _, socket := range l.sockets {
		socket.Close()
	}
}

// close ends the search.
func (s *routerSearch) close() {
	s.count.Stop()
	for _, l := range s.sockets {
		l.close()
	}
	if s.injector != nil {
		s.injector.Close()
	}
}
