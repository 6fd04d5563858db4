package health

import (
	"fmt"
	"strings"
	"time"

	"replypath/uplinks"
)

// evaluate finds the path's state, and tells what has changed.
func (m *Monitor) evaluate(w *pathState, now time.Time) {
	state, reason := w.decide(now)
	w.reason = reason
	m.evaluateProof(w, now)
	if state == w.state {
		return
	}
	was := w.state
	switch {
	case was.Usable() && !state.Usable():
		w.holdDown.wentDown(now)
	case !was.Usable() && state.Usable():
		if w.wasUp {
			w.holdDown.cameUp(now)
		}
		w.wasUp = true
	}
	if was != "" {
		w.changes++
	}
	w.state, w.since = state, now
	m.emit(w.path.Key, Event{At: now, Kind: "state", From: string(was), To: string(state), Text: eventText(w.path.Key, "is "+string(state), reason)})
}

// evaluateProof tells when the reply path is found not to be right, and when that is over.
func (m *Monitor) evaluateProof(w *pathState, now time.Time) {
	result, why := w.currentProof(now)
	if was := w.proofResult; was != "" && was != result {
		w.proofResult = result
		if was == No || result == No {
			m.emit(w.path.Key, Event{At: now, Kind: "proof", From: string(was), To: string(result), Text: eventText(w.path.Key, proofText[result], why)})
		}
	}
}

var proofText = map[Result]string{
	Yes:     "has a reply path that is right",
	No:      "has a reply path that is not right",
	Unknown: "has a reply path of which nothing is known",
}

func eventText(k Key, what, why string) string {
	s := fmt.Sprintf("%s %s %s", k.Uplink, k.Family, what)
	if why != "" {
		s += ": " + why
	}
	return s
}

// emitTarget tells that a target is bad or good again.
func (m *Monitor) emitTarget(c *sharedTarget, members []*probeState, now time.Time) {
	names := make([]string, 0, len(members))
	for _, i := range members {
		names = append(names, i.path.path.Uplink)
	}
	e := Event{At: now, Kind: "target", From: "good", To: "bad",
		Text: fmt.Sprintf("%s answers on none of %s: it takes none of them down", c.key.target, strings.Join(names, ", "))}
	if !c.bad {
		e.From, e.To, e.Text = e.To, e.From, fmt.Sprintf("%s answers again", c.key.target)
	}
	m.emit(Key{Family: c.key.scope.Family}, e)
}

func (m *Monitor) emit(k Key, e Event) {
	e.Uplink, e.Family = k.Uplink, familyLabel(k.Family)
	m.pending = append(m.pending, e)
}

// familyLabel is the family as programs read it.
func familyLabel(f uplinks.Family) string { return strings.ToLower(f.String()) }

// unlock gives back the lock, and tells what has happened meanwhile without it. One goroutine at a time tells, so that
// events are told in their order.
func (m *Monitor) unlock() {
	defer m.mu.Unlock()
	if m.delivering {
		return
	}
	m.delivering = true
	for len(m.pending) > 0 {
		events := m.pending
		m.pending = nil
		m.mu.Unlock()
		if m.OnEvent != nil {
			for _, e := range events {
				m.OnEvent(e)
			}
		}
		m.mu.Lock()
	}
	m.delivering = false
}
