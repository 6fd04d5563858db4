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
	path    health.Path
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
	reviewAt time.Time // when to decide again without any event; zero: never

	wake         chan struct{}      // interrupts the sleep of the probe loop
	loopCtx      context.Context    // of the probe loop
	cancelLoop   context.CancelFunc // nil: there is no probe loop
	probeCtx     context.Context    // of the probes in flight; nil: there are none
	cancelProbes context.CancelFunc
}

func newPathState(u health.UplinkSettings, p health.Path, now time.Time) *pathState {
	s := &pathState{uplink: u, path: p, since: now, proof: health.Proof{}.WithUnknown(), wake: make(chan struct{}, 1)}
	s.history.firstMinute = minuteOf(now)
	return s
}

// canProbe reports whether the link is fit to send probes.
func (p *pathState) canProbe() bool {
	state, _ := linkFault(p.path)
	return state == ""
}

// wakeUp makes the probe loop run at once.
func (p *pathState) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// abortProbes cancels the probes in flight.
func (p *pathState) abortProbes() {
	if p.cancelProbes != nil {
		p.cancelProbes()
	}
	p.probeCtx, p.cancelProbes = nil, nil
}

// stop ends the probe loop and cancels the probes in flight.
func (p *pathState) stop() {
	if p.cancelLoop != nil {
		p.cancelLoop()
	}
	p.cancelLoop = nil
	p.abortProbes()
}
