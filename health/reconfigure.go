package health

import (
	"context"
	"slices"
	"time"
)

// configurePath takes over how a path is watched, and the path as it is now.
func (m *Monitor) configurePath(u UplinkSettings, p Path, now time.Time) {
	w, known := m.paths[p.Key]
	if !known {
		w = &pathState{uplink: u, path: p, since: now, proof: Proof{}.WithUnknown(), wake: make(chan struct{}, 1)}
		w.history.firstMinute = minuteOf(now)
		m.paths[p.Key] = w
		m.configureProbes(w, now)
		m.evaluate(w, now)
		if m.ctx != nil {
			m.startPath(w)
		}
		return
	}
	asked, sameWay, sameUplink := w.canProbe(), w.path.sameRoute(p), w.uplink.equal(u)
	if w.path == p && sameUplink {
		return
	}
	w.uplink, w.path = u, p
	switch {
	case asked && !w.canProbe():
		m.suspendProbes(w, now)
	case !sameWay:
		w.abortProbes()
		for _, i := range w.probes {
			i.restart(i.effective)
		}
	}
	if w.canProbe() || !sameUplink {
		m.configureProbes(w, now)
	}
	m.evaluate(w, now)
	w.wakeUp()
}

// configureProbes makes the path's inquiries what they should be. A probe that is as it was keeps its judge.
func (m *Monitor) configureProbes(w *pathState, now time.Time) {
	had := w.probes
	w.probes = nil
	nth := map[Target]int{}
	for _, p := range w.uplink.ProbesFor(w.path) {
		k := targetKeyOf(p, w.path.Key, nth[p.Target])
		nth[p.Target]++
		at := slices.IndexFunc(had, func(i *probeState) bool { return i.probe == p && i.target.key == k })
		if at >= 0 {
			w.probes = append(w.probes, had[at])
			had = slices.Delete(had, at, at+1)
			continue
		}
		w.probes = append(w.probes, m.addProbe(&probeState{probe: p, detector: NewDetector(p), path: w}, k))
	}
	for _, i := range had {
		m.removeProbe(i, now)
	}
}

func (m *Monitor) addProbe(i *probeState, k targetKey) *probeState {
	c, known := m.targets[k]
	if !known {
		c = &sharedTarget{key: k}
		m.targets[k] = c
	}
	c.probes = append(c.probes, i)
	i.target = c
	i.detector.Stagger(m.probeCount)
	m.probeCount++
	return i
}

func (m *Monitor) removeProbe(i *probeState, now time.Time) {
	i.detector.Restart(Undecided)
	i.target.remove(i)
	if len(i.target.probes) == 0 {
		delete(m.targets, i.target.key)
		return
	}
	m.reassessTarget(i.target, now)
}

// suspendProbes ends the questions of a path that has no link to ask by.
func (m *Monitor) suspendProbes(w *pathState, now time.Time) {
	w.abortProbes()
	for _, i := range w.probes {
		i.suspend()
		m.reassessTarget(i.target, now)
	}
}

func (m *Monitor) removePath(w *pathState, now time.Time) {
	delete(m.paths, w.path.Key)
	w.stop()
	for _, i := range w.probes {
		m.removeProbe(i, now)
	}
}

// startPath starts the goroutine of a path, and its questions anew.
func (m *Monitor) startPath(w *pathState) {
	ctx, cancel := context.WithCancel(m.ctx)
	w.cancel = cancel
	for _, i := range w.probes {
		i.restart(i.effective)
	}
	m.tasks.Go(func() { m.probeLoop(ctx, w) })
}

// stop stops the goroutine of a path and its questions.
func (w *pathState) stop() {
	if w.cancel != nil {
		w.cancel()
	}
	w.cancel = nil
	w.abortProbes()
}
