package daemon

import (
	"maps"
	"slices"
	"sync"

	"replypath/health"
	"replypath/uplinks"
)

// verdicts keeps the states of the paths that the monitor decided last, as input of uplinks.Desired. Safe for concurrent
// use.
type verdicts struct {
	queue *roundQueue

	mu       sync.Mutex
	inUse    bool             // objects depend on verdicts
	byPath   uplinks.Verdicts // of the states and flags; replaced, never changed
	states   uplinks.Verdicts // of the states alone
	degraded map[uplinks.PathKey]bool
	held     map[uplinks.PathKey]bool // down only because of the hold-down
	next     chan struct{}            // closed by the next change; nil: nothing waits for it
}

// HandleStateEvent records the new state of a path, and requests a round of the whole host if it differs from the one before and objects
// depend on verdicts: then any object of a purpose may.
func (v *verdicts) HandleStateEvent(e health.Event) {
	path := uplinks.PathKey{Uplink: e.Uplink}
	if err := path.Family.UnmarshalText([]byte(e.Family)); err != nil {
		return
	}
	if v.set(path, uplinks.Verdict(e.To)) {
		v.queue.RequestRound(stateReason(e.Uplink), uplinks.ChangedScope{})
	}
}

// stateReason and degradationReason return the reason for a round after a verdict on a path of the uplink.
func stateReason(uplink string) string       { return "health of " + uplink }
func degradationReason(uplink string) string { return "loss or latency of " + uplink }

// set records the state of a path, and reports whether a round is due.
func (v *verdicts) set(path uplinks.PathKey, verdict uplinks.Verdict) (roundDue bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.states == nil {
		v.states = uplinks.Verdicts{}
	}
	v.states[path] = verdict
	return v.compose(path)
}

// HandleDegradation records that a path became degraded, or no longer is.
func (v *verdicts) HandleDegradation(k health.Key, degraded bool) {
	v.setFlag(&v.degraded, k, degraded, degradationReason(k.Uplink))
}

// HandleHoldDown records that a path is down only because it is held down, or no longer is.
func (v *verdicts) HandleHoldDown(k health.Key, held bool) {
	v.setFlag(&v.held, k, held, stateReason(k.Uplink))
}

// setFlag sets one of the flags of a path, and requests a round if its verdict is another one then.
func (v *verdicts) setFlag(flags *map[uplinks.PathKey]bool, k health.Key, is bool, reason string) {
	path := uplinks.PathKey(k)
	v.mu.Lock()
	if *flags == nil {
		*flags = map[uplinks.PathKey]bool{}
	}
	(*flags)[path] = is
	matters := v.compose(path)
	v.mu.Unlock()
	if matters {
		v.queue.RequestRound(reason, uplinks.ChangedScope{})
	}
}

// compose sets the verdict of a path from its state and flags, and reports whether an object may depend on that it is another one.
func (v *verdicts) compose(path uplinks.PathKey) (matters bool) {
	verdict := v.states[path]
	if v.degraded[path] && (verdict == uplinks.VerdictUp || verdict == uplinks.VerdictUnproven) {
		verdict = uplinks.VerdictDegraded
	}
	if v.held[path] && verdict == uplinks.VerdictDown {
		verdict = uplinks.VerdictHeld
	}
	if v.byPath[path] == verdict {
		return false
	}
	next := maps.Clone(v.byPath)
	if next == nil {
		next = uplinks.Verdicts{}
	}
	next[path] = verdict
	v.byPath = next
	if v.next != nil {
		close(v.next)
		v.next = nil
	}
	return v.inUse
}

// Changed returns a channel that the next change of a verdict closes.
func (v *verdicts) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.next == nil {
		v.next = make(chan struct{})
	}
	return v.next
}

// Snapshot returns the verdicts, which the caller must not change.
func (v *verdicts) Snapshot() uplinks.Verdicts {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.byPath
}

// SetSettings drops the verdicts of uplinks that are not in the settings, so that a later uplink of the same name starts without
// one.
func (v *verdicts) SetSettings(s uplinks.Settings) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inUse = s.DependsOnVerdicts()
	gone := func(p uplinks.PathKey) bool {
		return !slices.ContainsFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Name == p.Uplink })
	}
	next := maps.Clone(v.byPath)
	maps.DeleteFunc(next, func(p uplinks.PathKey, _ uplinks.Verdict) bool { return gone(p) })
	maps.DeleteFunc(v.states, func(p uplinks.PathKey, _ uplinks.Verdict) bool { return gone(p) })
	for _, flags := range []map[uplinks.PathKey]bool{v.degraded, v.held} {
		maps.DeleteFunc(flags, func(p uplinks.PathKey, _ bool) bool { return gone(p) })
	}
	v.byPath = next
}
