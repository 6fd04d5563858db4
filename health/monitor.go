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
	OnEvent func(Event)
	// Answered is told the outcome of each question, from many goroutines at once.
	OnOutcome func(Key, Probe, Outcome)

	probers map[ProbeKind]Prober
	tasks   sync.WaitGroup

	mu         sync.Mutex
	order      []UplinkSettings // as in the settings
	links      map[string][]Key // the paths by each link, in that order
	paths      map[Key]*pathState
	targets    map[targetKey]*sharedTarget
	ctx        context.Context // nil: it does not run
	probeCount int             // inquiries
	pending    []Event         // not told yet
	delivering bool
}

// NewMonitor is a monitor that asks with the askers. It judges by the links alone until Run.
func NewMonitor(probers map[ProbeKind]Prober) *Monitor {
	return &Monitor{probers: probers, paths: map[Key]*pathState{}, targets: map[targetKey]*sharedTarget{}}
}

// Configure takes over the settings and the paths as they are now: the whole truth. What is as it was is not touched. A path
// that leads another way begins its questions anew, and keeps its state until they have decided.
func (m *Monitor) Configure(s Settings, paths []Path) {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	m.order, m.links = slices.Clone(s.Uplinks), map[string][]Key{}
	byName := make(map[string]UplinkSettings, len(s.Uplinks))
	for _, u := range s.Uplinks {
		byName[u.Name] = u
	}
	kept := make(map[Key]bool, len(paths))
	for _, p := range paths {
		if u, known := byName[p.Uplink]; known {
			kept[p.Key] = true
			m.links[p.Link] = append(m.links[p.Link], p.Key)
			m.configurePath(u, p, now)
		}
	}
	for k, w := range m.paths {
		if !kept[k] {
			m.removePath(w, now)
		}
	}
}

// UpdatePath takes over how a path is now. One that is not watched stays unwatched.
func (m *Monitor) UpdatePath(p Path) {
	m.mu.Lock()
	defer m.unlock()
	if w, watched := m.paths[p.Key]; watched {
		m.configurePath(w.uplink, p, time.Now())
	}
}

// UpdateLink takes over what a link event says, before anybody has looked at the host: a link that is down or has lost its
// carrier takes its uplinks down at once.
func (m *Monitor) UpdateLink(name string, up, carrier bool) {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	for _, k := range m.links[name] {
		w := m.paths[k]
		p := w.path
		p.Up, p.Carrier = up, carrier
		m.configurePath(w.uplink, p, now)
	}
}

// pathsOf are the uplink's paths, IPv4 first.
func (m *Monitor) pathsOf(name string) (all []*pathState) {
	for _, f := range uplinks.Families {
		if w, watched := m.paths[Key{name, f}]; watched {
			all = append(all, w)
		}
	}
	return all
}

// UpdateProof takes over the newest proof of a path's replies. A path that is not watched has none.
func (m *Monitor) UpdateProof(k Key, p Proof) {
	m.mu.Lock()
	defer m.unlock()
	w, watched := m.paths[k]
	if !watched {
		return
	}
	now := time.Now()
	if before := w.proof.Replies.Stray; w.proofResult != "" && p.Replies.Stray > before {
		w.strayedAt, w.recentStrays = now, p.Replies.Stray-before
	}
	w.proof = p.WithUnknown()
	if w.proofResult == "" {
		w.proofResult = Unknown
	}
	m.evaluate(w, now)
	w.wakeUp()
}

// Run asks until the context ends, and returns why it has when the last question has ended too. It must not run twice
// at once.
func (m *Monitor) Run(ctx context.Context) error {
	m.mu.Lock()
	m.ctx = ctx
	for _, w := range m.paths {
		m.startPath(w)
	}
	m.unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.ctx = nil
	for _, w := range m.paths {
		w.stop()
	}
	m.unlock()
	m.tasks.Wait()
	return ctx.Err()
}
