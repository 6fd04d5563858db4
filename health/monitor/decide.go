package monitor

import (
	"fmt"
	"time"

	"replypath/health"
)

// decide returns the state that follows from the link, the probes, the hold-down and the proof, in this order, with its
// reason unless it is Up. It returns an empty state if no probe has decided since the path was added, and Standby if none
// has since the addresses came.
func (p *pathState) decide(now time.Time) (state health.State, reason string) {
	p.reviewAt, p.held = time.Time{}, false
	if state, reason := linkFault(*p.path); state != "" {
		p.quorum = Undecided
		p.holdDown.failed()
		return state, reason
	}
	liveness, reason := p.evaluateQuorum()
	switch {
	case liveness == Undecided && (p.state == "" || p.state == health.Standby):
		return p.state, reason
	case liveness != Alive:
		p.holdDown.failed()
		return health.Down, reason
	case p.state == health.Down || p.state == health.Absent:
		if left := p.holdDown.succeeded(now); left > 0 {
			p.reviewAt, p.held = now.Add(left), true
			return health.Down, fmt.Sprintf("held down for %v after %d flaps", p.holdDown.penalty, p.holdDown.flaps)
		}
	}
	if result, reason := p.currentProof(now).Result(); result == health.No {
		return health.Unproven, reason
	}
	return health.Up, ""
}

// evaluateQuorum returns the quorum of the path's probes. While new probes are undecided, the last quorum stands.
func (p *pathState) evaluateQuorum() (Liveness, string) {
	votes := make([]vote, 0, len(p.probes))
	for _, s := range p.probes {
		votes = append(votes, s.vote())
	}
	liveness, reason := quorum(p.uplink.Quorum, votes)
	if liveness != Undecided {
		p.quorum = liveness
	}
	return p.quorum, reason
}

// currentProof returns the proof with the check of stray replies within health.StrayWindow.
func (p *pathState) currentProof(now time.Time) health.Proof {
	current := p.proof
	end := p.strayedAt.Add(health.StrayWindow)
	switch {
	case p.proofResult == "":
	case p.strayedAt.IsZero() || !now.Before(end):
		current.Strays = health.StrayCheck(0, "", "")
	default:
		p.reviewAt = earliest(p.reviewAt, end)
		current.Strays = p.strays
	}
	return current
}
