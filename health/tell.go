package health

import (
	"fmt"
	"strings"
	"time"

	"replypath/uplinks"
)

// evaluate finds the path's state, and tells what has changed.
func (m *Monitor) evaluate(w *watch, now time.Time) {
	state, reason := w.weigh(now)
	w.reason = reason
	m.evaluateProof(w, now)
	if state == w.state {
		return
	}
	was := w.state
	switch {
	case was.good() && !state.good():
		w.hold.fell(now)
	case !was.good() && state.good():
		if w.wasUp {
			w.hold.rose(now)
		}
		w.wasUp = true
	}
	if was != "" {
		w.changes++
	}
	w.state, w.since = state, now
	m.tell(w.path.Key, Event{At: now, Kind: "state", From: string(was), To: string(state), Text: sentence(w.path.Key, "is "+string(state), reason)})
}

// evaluateProof tells when the reply path is found not to be right, and when that is over.
func (m *Monitor) evaluateProof(w *watch, now time.Time) {
	result, why := w.proven(now)
	if was := w.verdict; was != "" && was != result {
		w.verdict = result
		if was == No || result == No {
			m.tell(w.path.Key, Event{At: now, Kind: "proof", From: string(was), To: string(result), Text: sentence(w.path.Key, proofWords[result], why)})
		}
	}
}

var proofWords = map[Result]string{
	Yes:     "has a reply path that is right",
	No:      "has a reply path that is not right",
	Unknown: "has a reply path of which nothing is known",
}

func sentence(k Key, what, why string) string {
	s := fmt.Sprintf("%s %s %s", k.Uplink, k.Family, what)
	if why != "" {
		s += ": " + why
	}
	return s
}

// tellTarget tells that a target is bad or good again.
func (m *Monitor) tellTarget(c *common, members []*inquiry, now time.Time) {
	names := make([]string, 0, len(members))
	for _, i := range members {
		names = append(names, i.of.path.Uplink)
	}
	e := Event{At: now, Kind: "target", From: "good", To: "bad",
		Text: fmt.Sprintf("%s answers on none of %s: it takes none of them down", c.key.target, strings.Join(names, ", "))}
	if !c.bad {
		e.From, e.To, e.Text = e.To, e.From, fmt.Sprintf("%s answers again", c.key.target)
	}
	m.tell(Key{Family: c.key.path.Family}, e)
}

func (m *Monitor) tell(k Key, e Event) {
	e.Uplink, e.Family = k.Uplink, familyWord(k.Family)
	m.events = append(m.events, e)
}

// familyWord is the family as programs read it.
func familyWord(f uplinks.Family) string { return strings.ToLower(f.String()) }

// unlock gives back the lock, and tells what has happened meanwhile without it. One goroutine at a time tells, so that
// events are told in their order.
func (m *Monitor) unlock() {
	defer m.mu.Unlock()
	if m.telling {
		return
	}
	m.telling = true
	for len(m.events) > 0 {
		events := m.events
		m.events = nil
		m.mu.Unlock()
		if m.Changed != nil {
			for _, e := range events {
				m.Changed(e)
			}
		}
		m.mu.Lock()
	}
	m.telling = false
}
