package monitor

import (
	"context"
	"slices"
	"time"

	"replypath/health"
)

func (e *engine) configure(s health.Settings, paths []health.Path, now time.Time) {
	e.uplinks, e.links = slices.Clone(s.Uplinks), map[string][]health.Key{}
	byName := make(map[string]health.UplinkSettings, len(s.Uplinks))
	for _, u := range s.Uplinks {
		byName[u.Name] = u
	}
	kept := make(map[health.Key]bool, len(paths))
	for _, p := range paths {
		if u, ok := byName[p.Uplink]; ok {
			kept[p.Key] = true
			e.links[p.Link] = append(e.links[p.Link], p.Key)
			e.configurePath(u, p, now)
		}
	}
	for k, p := range e.paths {
		if !kept[k] {
			e.removePath(p, now)
		}
	}
}

func (e *engine) updatePath(p health.Path, now time.Time) {
	if known, ok := e.paths[p.Key]; ok {
		e.configurePath(known.uplink, p, now)
	}
}

func (e *engine) updateLink(name string, up, carrier bool, now time.Time) {
	for _, k := range e.links[name] {
		known := e.paths[k]
		p := *known.path
		p.Up, p.Carrier = up, carrier
		e.configurePath(known.uplink, p, now)
	}
}

// configurePath adds a path, or updates it and its settings.
func (e *engine) configurePath(u health.UplinkSettings, path health.Path, now time.Time) {
	p, ok := e.paths[path.Key]
	if !ok {
		e.addPath(newPathState(u, path, now), now)
		return
	}
	couldProbe, sameRoute, sameUplink := p.canProbe(), p.path.SameRoute(path), sameSettings(p.uplink, u)
	if *p.path == path && sameUplink {
		return
	}
	next := path // on the heap, only where it has changed
	p.uplink, p.path = u, &next
	switch {
	case couldProbe && !p.canProbe():
		e.suspendProbes(p, now)
	case !sameRoute:
		p.abortProbes()
		for _, s := range p.probes {
			s.restart(s.effective)
		}
	}
	if p.canProbe() || !sameUplink {
		e.configureProbes(p, now)
	}
	e.evaluate(p, now)
	e.runSoon(p)
}

// sameSettings compares by value; UplinkSettings has a slice.
func sameSettings(u, o health.UplinkSettings) bool {
	return u.Name == o.Name && u.Quorum == o.Quorum && u.CarrierOnly == o.CarrierOnly && slices.Equal(u.Probes, o.Probes)
}

func (e *engine) addPath(p *pathState, now time.Time) {
	e.paths[p.path.Key] = p
	e.configureProbes(p, now)
	e.evaluate(p, now)
	if e.ctx != nil {
		e.startPath(p)
	}
}

// startPath restarts the probes of the path and has them sent.
func (e *engine) startPath(p *pathState) {
	p.runCtx, p.cancelRun = context.WithCancel(e.ctx)
	for _, s := range p.probes {
		s.restart(s.effective)
	}
	e.runSoon(p)
}

func (e *engine) removePath(p *pathState, now time.Time) {
	delete(e.paths, p.path.Key)
	e.agenda.remove(p)
	p.stop()
	for _, s := range p.probes {
		e.removeProbe(s, now)
	}
}

// configureProbes sets the probes of the path. An unchanged probe keeps its detector.
func (e *engine) configureProbes(p *pathState, now time.Time) {
	old := p.probes
	p.probes = nil
	nth := map[health.Target]int{}
	for _, probe := range p.uplink.ProbesFor(*p.path) {
		k := targetKeyOf(probe, p.path.Key, nth[probe.Target])
		nth[probe.Target]++
		if at := slices.IndexFunc(old, func(s *probeState) bool { return s.probe == probe && s.target.key == k }); at >= 0 {
			p.probes = append(p.probes, old[at])
			old = slices.Delete(old, at, at+1)
			continue
		}
		p.probes = append(p.probes, e.addProbe(&probeState{probe: probe, detector: NewDetector(probe), owner: p}, k))
	}
	for _, s := range old {
		e.removeProbe(s, now)
	}
}

// addProbe adds the probe to its target.
func (e *engine) addProbe(s *probeState, k targetKey) *probeState {
	t, ok := e.targets[k]
	if !ok {
		t = &sharedTarget{key: k}
		e.targets[k] = t
	}
	t.probes = append(t.probes, s)
	s.target = t
	s.detector.Stagger(e.probeCount)
	e.probeCount++
	return s
}

// removeProbe removes the probe from its target, and reassesses the target without it.
func (e *engine) removeProbe(s *probeState, now time.Time) {
	s.detector.Restart(Undecided)
	s.target.remove(s)
	if len(s.target.probes) == 0 {
		delete(e.targets, s.target.key)
		return
	}
	e.reassessTarget(s.target, now)
}

// suspendProbes cancels the probes of a path whose link is unfit to send them.
func (e *engine) suspendProbes(p *pathState, now time.Time) {
	p.abortProbes()
	state, _ := linkFault(*p.path)
	for _, s := range p.probes {
		s.suspend(state)
		e.reassessTarget(s.target, now)
	}
}
