package monitor

import (
	"context"
	"time"

	"replypath/health"
)

// pathState is the state of one monitored path. Its fields that hold an assessment depend on each other in this order:
// quorum on the probes, proofResult on the proof, state on both, on the link and on holdDown.
type pathState struct {
	uplink  health.UplinkSettings
	path    *health.Path // replaced, never changed: probes that were sent have it too
	probes  []*probeState
	history history

	quorum   Liveness // of the probes together; the last one that was decided
	holdDown holdDown

	proof       health.Proof
	proofResult health.Result     // of the proof and of recent stray replies; empty: there was no proof yet
	strayedAt   time.Time         // when the count of stray replies last grew
	strays      health.ProofCheck // the check of that

	state    health.State // empty: undecided since the path was added
	reason   string       // of the state; empty when up
	since    time.Time    // of the state
	changes  int          // of the state
	wasUp    bool
	degraded bool      // fewer probes than the quorum are without degradation
	held     bool      // it is down only because it is held down: enough of its probes are answered
	heldSent bool      // what Monitor.OnHoldDown has got last
	reviewAt time.Time // when to decide again without any event; zero: never

	place        int                // in the agenda, from 1; 0: it is not there
	runsSoon     bool               // it is in engine.soon
	runCtx       context.Context    // of all probes, while the path is monitored and Run runs
	cancelRun    context.CancelFunc // nil: no probes are sent
	probeCtx     context.Context    // of the probes in flight; nil: there are none
	cancelProbes context.CancelFunc
}

func newPathState(u health.UplinkSettings, p health.Path, now time.Time) *pathState {
	s := &pathState{uplink: u, path: &p, since: now, proof: health.Proof{}.WithUnknown()}
	s.history.firstMinute = minuteOf(now)
	return s
}

// canProbe reports whether the link is fit to send probes.
func (p *pathState) canProbe() bool {
	state, _ := linkFault(*p.path)
	return state == ""
}

// abortProbes cancels the probes in flight.
func (p *pathState) abortProbes() {
	if p.cancelProbes != nil {
		p.cancelProbes()
	}
	p.probeCtx, p.cancelProbes = nil, nil
}

// stop cancels the probes in flight; no more are sent.
func (p *pathState) stop() {
	if p.cancelRun != nil {
		p.cancelRun()
	}
	p.cancelRun = nil
	p.abortProbes()
}
