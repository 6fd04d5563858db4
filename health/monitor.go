package health

import (
	"context"
	"slices"
	"sync"
	"time"

	"replypath/uplinks"
)

// Monitor puts the questions of all uplinks and says how they stand. It may be used from many goroutines.
type Monitor struct {
	// Changed is told what changes, one event after the other and in order. It may use the monitor, and must not block.
	Changed func(Event)
	// Answered is told the outcome of each question, from many goroutines at once.
	Answered func(Key, Probe, Outcome)

	askers map[Kind]Asker
	tasks  sync.WaitGroup

	mu      sync.Mutex
	order   []Uplink         // as in the settings
	links   map[string][]Key // the paths by each link, in that order
	watches map[Key]*watch
	commons map[commonKey]*common
	ctx     context.Context // nil: it does not run
	begun   int             // inquiries
	events  []Event         // not told yet
	telling bool
}

// NewMonitor is a monitor that asks with the askers. It judges by the links alone until Run.
func NewMonitor(askers map[Kind]Asker) *Monitor {
	return &Monitor{askers: askers, watches: map[Key]*watch{}, commons: map[commonKey]*common{}}
}

// Watch takes over the settings and the paths as they are now: the whole truth. What is as it was is not touched. A path
// that leads another way begins its questions anew, and keeps its state until they have decided.
func (m *Monitor) Watch(s Settings, paths []Path) {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	m.order, m.links = slices.Clone(s.Uplinks), map[string][]Key{}
	byName := make(map[string]Uplink, len(s.Uplinks))
	for _, u := range s.Uplinks {
		byName[u.Name] = u
	}
	kept := make(map[Key]bool, len(paths))
	for _, p := range paths {
		if u, known := byName[p.Uplink]; known {
			kept[p.Key] = true
			m.links[p.Link] = append(m.links[p.Link], p.Key)
			m.watch(u, p, now)
		}
	}
	for k, w := range m.watches {
		if !kept[k] {
			m.remove(w, now)
		}
	}
}

// Move takes over how a path is now. One that is not watched stays unwatched.
func (m *Monitor) Move(p Path) {
	m.mu.Lock()
	defer m.unlock()
	if w, watched := m.watches[p.Key]; watched {
		m.watch(w.uplink, p, time.Now())
	}
}

// Link takes over what a link event says, before anybody has looked at the host: a link that is down or has lost its
// carrier takes its uplinks down at once.
func (m *Monitor) Link(name string, up, carrier bool) {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	for _, k := range m.links[name] {
		w := m.watches[k]
		p := w.path
		p.Up, p.Carrier = up, carrier
		m.watch(w.uplink, p, now)
	}
}

// ofUplink are the uplink's paths, IPv4 first.
func (m *Monitor) ofUplink(name string) (all []*watch) {
	for _, f := range uplinks.Families {
		if w, watched := m.watches[Key{name, f}]; watched {
			all = append(all, w)
		}
	}
	return all
}

// Prove takes over the newest proof of a path's replies. A path that is not watched has none.
func (m *Monitor) Prove(k Key, p Proof) {
	m.mu.Lock()
	defer m.unlock()
	w, watched := m.watches[k]
	if !watched {
		return
	}
	now := time.Now()
	if before := w.proof.Seen.Stray; w.verdict != "" && p.Seen.Stray > before {
		w.strayed, w.strays = now, p.Seen.Stray-before
	}
	w.proof = p.known()
	if w.verdict == "" {
		w.verdict = Unknown
	}
	m.evaluate(w, now)
	w.nudge()
}

// Run asks until the context ends, and returns why it has when the last question has ended too. It must not run twice
// at once.
func (m *Monitor) Run(ctx context.Context) error {
	m.mu.Lock()
	m.ctx = ctx
	for _, w := range m.watches {
		m.begin(w)
	}
	m.unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.ctx = nil
	for _, w := range m.watches {
		w.end()
	}
	m.unlock()
	m.tasks.Wait()
	return ctx.Err()
}
