package monitor

import (
	"context"
	"sync"
	"time"

	"replypath/health"
)

// Monitor probes uplinks and decides their states. It is safe for concurrent use.
type Monitor struct {
	// OnEvent receives the events one at a time and in order. It may call the monitor, but must not block.
	OnEvent func(health.Event)
	// OnDegradation receives, in the same way, that a usable path became degraded, or no longer is.
	OnDegradation func(k health.Key, degraded bool)
	// OnHoldDown receives, in the same way, that a path is down only because it is held down, or no longer is.
	OnHoldDown func(k health.Key, held bool)
	// OnOutcome receives the outcome of each probe, from many goroutines at once.
	OnOutcome func(health.Key, health.Probe, health.Outcome)
	// Timers makes the timer of the probe loop.
	Timers health.Timers

	probers map[health.ProbeKind]health.Prober
	tasks   sync.WaitGroup // probes that are sent
	events  eventQueue

	mu      sync.Mutex // guards what follows
	engine  engine
	timer   health.Timer // of the probe loop; nil: there is none
	timerAt time.Time    // when it fires; zero: after maxSleep
}

// New returns a monitor that sends probes by the probers once it runs. Until then it judges by the links alone.
func New(probers map[health.ProbeKind]health.Prober) *Monitor {
	return &Monitor{probers: probers, engine: newEngine()}
}

// update changes the engine and runs the paths that are due under the lock. It delivers the events and sends the probes after the
// lock is released.
func (m *Monitor) update(change func(e *engine, now time.Time)) {
	m.mu.Lock()
	now := time.Now()
	change(&m.engine, now)
	if m.timer != nil {
		m.setTimer(m.engine.runAgenda(now), now)
	}
	out := m.engine.takeOutput()
	sending := len(out.probes) > 0
	if sending {
		m.tasks.Add(1)
	}
	m.events.add(out.events)
	m.mu.Unlock()
	m.events.deliver(m.emit)
	if sending {
		m.sendAll(out.probes)
		m.tasks.Done()
	}
}

// emit passes an event on.
func (m *Monitor) emit(e health.Event) {
	on, isFlag := map[string]func(health.Key, bool){degradationEvent: m.OnDegradation, holdDownEvent: m.OnHoldDown}[e.Kind]
	if !isFlag {
		if m.OnEvent != nil {
			m.OnEvent(e)
		}
		return
	}
	k := health.Key{Uplink: e.Uplink}
	if err := k.Family.UnmarshalText([]byte(e.Family)); err == nil && on != nil {
		on(k, e.To != "")
	}
}

// Configure sets the uplinks and the paths that are monitored, all of them. Unchanged probes go on undisturbed. A path whose
// route changes restarts its probes, and keeps its state until they have decided.
func (m *Monitor) Configure(s health.Settings, paths []health.Path) {
	m.update(func(e *engine, now time.Time) { e.configure(s, paths, now) })
}

// UpdatePath updates a path that is monitored; others are ignored.
func (m *Monitor) UpdatePath(p health.Path) {
	m.update(func(e *engine, now time.Time) { e.updatePath(p, now) })
}

// UpdateLink applies a link event to all paths of the link: without IFF_UP or carrier they are down at once.
func (m *Monitor) UpdateLink(name string, up, carrier bool) {
	m.update(func(e *engine, now time.Time) { e.updateLink(name, up, carrier, now) })
}

// UpdateProof sets the newest proof of a path that is monitored; others are ignored.
func (m *Monitor) UpdateProof(k health.Key, p health.Proof) {
	m.update(func(e *engine, now time.Time) { e.updateProof(k, p, now) })
}

// Run sends probes until the context ends, and returns its error after the last probe has ended; batched ones may still be
// reported, without effect. Only one Run at a time is allowed.
func (m *Monitor) Run(ctx context.Context) error {
	timer := m.Timers.New(func() { m.update(func(*engine, time.Time) {}) })
	defer timer.Stop()
	m.update(func(e *engine, _ time.Time) {
		m.timer, m.timerAt = timer, time.Time{}
		e.start(ctx)
	})
	<-ctx.Done()
	m.update(func(e *engine, _ time.Time) {
		m.timer = nil
		e.stop()
	})
	m.tasks.Wait()
	return ctx.Err()
}

// Status returns the status of all uplinks, in the order of the settings. The caller owns it.
func (m *Monitor) Status() []health.UplinkStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.engine.status(time.Now())
}
