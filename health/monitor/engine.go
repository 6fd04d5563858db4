package monitor

import (
	"context"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// engine is the state of all uplinks, paths and probes. Monitor.mu guards it, with all that it points to. Its methods never
// block, and start no goroutine.
type engine struct {
	uplinks    []health.UplinkSettings // in the order of the settings
	links      map[string][]health.Key // the paths of each link
	paths      map[health.Key]*pathState
	targets    map[targetKey]*sharedTarget
	probeCount int             // of all probes that were ever configured
	ctx        context.Context // of Run; nil: it is not running
	agenda     agenda          // when paths are to run, while it is running
	soon       []*pathState    // to run with the current update
	output     output
}

// output is the work that a change of the engine leaves to the monitor.
type output struct {
	events []health.Event // to deliver, in order
	probes []sentProbe    // to send
}

// sentProbe is a probe that was counted as sent by its Detector.
type sentProbe struct {
	ctx      context.Context // canceled when the outcome is of no use any more
	path     *health.Path
	state    *probeState
	sequence uint64
}

func newEngine() engine {
	return engine{paths: map[health.Key]*pathState{}, targets: map[targetKey]*sharedTarget{}}
}

// takeOutput returns the output since the last call.
func (e *engine) takeOutput() output {
	out := e.output
	e.output = output{}
	return out
}

func (e *engine) start(ctx context.Context) {
	e.ctx = ctx
	for _, p := range e.paths {
		e.startPath(p)
	}
}

func (e *engine) stop() {
	e.ctx, e.agenda, e.soon = nil, nil, nil
	for _, p := range e.paths {
		p.stop()
		p.place, p.runsSoon = 0, false
	}
}

// pathsOf returns the uplink's paths, IPv4 first.
func (e *engine) pathsOf(uplink string) (all []*pathState) {
	for _, f := range uplinks.Families {
		if p, ok := e.paths[health.Key{Uplink: uplink, Family: f}]; ok {
			all = append(all, p)
		}
	}
	return all
}

// updateProof counts stray replies from the second proof on: the first one may count those of an earlier run.
func (e *engine) updateProof(k health.Key, proof health.Proof, now time.Time) {
	p, ok := e.paths[k]
	if !ok {
		return
	}
	if before := p.proof.Replies.Stray; p.proofResult != "" && proof.Replies.Stray > before {
		if p.strayedAt, p.strays = now, proof.Strays; p.strays.Result != health.No {
			p.strays = health.StrayCheck(proof.Replies.Stray-before, "within the last minute", "")
		}
	}
	p.proof = proof.WithUnknown()
	if p.proofResult == "" {
		p.proofResult = health.Unknown
	}
	e.evaluate(p, now)
	e.runSoon(p)
}
