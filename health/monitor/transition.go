package monitor

import (
	"fmt"
	"strings"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// evaluate decides the state of the path again, and records and emits what has changed.
func (e *engine) evaluate(p *pathState, now time.Time) {
	state, reason := p.decide(now)
	p.reason = reason
	e.evaluateProof(p, now)
	defer e.evaluateDegradation(p)
	defer e.evaluateHoldDown(p)
	if state == p.state {
		return
	}
	was := p.state
	switch {
	case was == health.Standby || state == health.Standby: // a take-over is no flap
		p.wasUp = p.wasUp || state.Usable()
	case was.Usable() && !state.Usable():
		p.holdDown.wentDown(now)
	case !was.Usable() && state.Usable():
		if p.wasUp {
			p.holdDown.cameUp(now)
		}
		p.wasUp = true
	}
	if was != "" {
		p.changes++
	}
	p.state, p.since = state, now
	e.emitPath(p, health.Event{At: now, Kind: "state", From: string(was), To: string(state), Text: eventText(p.path.Key, "is "+string(state), reason)})
}

// evaluateProof emits an event when the reply path breaks, and when it no longer is broken.
func (e *engine) evaluateProof(p *pathState, now time.Time) {
	result, reason := p.currentProof(now).Result()
	was := p.proofResult
	if was == "" || was == result {
		return
	}
	p.proofResult = result
	if was == health.No || result == health.No {
		e.emitPath(p, health.Event{At: now, Kind: "proof", From: string(was), To: string(result), Text: eventText(p.path.Key, proofText[result], reason)})
	}
}

var proofText = map[health.Result]string{
	health.Yes:     "reply path proven",
	health.No:      "reply path broken",
	health.Unknown: "reply path no longer known to be broken",
}

func eventText(k health.Key, text, reason string) string {
	s := fmt.Sprintf("%s %s %s", k.Uplink, k.Family, text)
	if reason != "" {
		s += ": " + reason
	}
	return s
}

// emitTarget emits that a target is bad, or no longer.
func (e *engine) emitTarget(t *sharedTarget, probes []*probeState, now time.Time) {
	names := make([]string, 0, len(probes))
	for _, s := range probes {
		names = append(names, s.owner.path.Uplink)
	}
	event := health.Event{At: now, Kind: "target", From: "good", To: "bad",
		Text: fmt.Sprintf("%s answers on no uplink (%s): ignored until it answers again", t.key.target, strings.Join(names, ", "))}
	if !t.bad {
		event.From, event.To, event.Text = event.To, event.From, fmt.Sprintf("%s answers again", t.key.target)
	}
	e.emit(t.key.scope.Family, event)
}

// emitPath emits an event of a path.
func (e *engine) emitPath(p *pathState, event health.Event) {
	event.Uplink, event.Interface = p.path.Uplink, p.path.Link
	e.emit(p.path.Family, event)
}

func (e *engine) emit(f uplinks.Family, event health.Event) {
	event.Family = familyLabel(f)
	e.output.events = append(e.output.events, event)
}

// familyLabel returns the family as it is written in JSON.
func familyLabel(f uplinks.Family) string { return strings.ToLower(f.String()) }
