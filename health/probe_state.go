package health

import (
	"fmt"
	"slices"
	"time"
)

// probeState is one probe of one path: its judge, and what counts of the judge's verdict.
type probeState struct {
	probe           Probe
	detector        *Detector
	path            *pathState
	target          *sharedTarget
	effective       Liveness  // the verdict that counts
	attributed      bool      // the target's death is held against the uplink
	failedAt        time.Time // when the judge found it dead; zero: it has not since it began
	suspectSince    time.Time // since when something seemed to be wrong, when it fell
	crossCheckedFor time.Time // the doubt for which others have been asked already
}

// restart begins anew with what stands.
func (i *probeState) restart(v Liveness) {
	i.detector.Restart(v)
	i.effective, i.attributed, i.failedAt = v, v == Dead, time.Time{}
}

// suspend forgets what is open. One that has been answered must show itself again afterwards, unless its target says
// nothing of the uplink.
func (i *probeState) suspend() {
	if i.effective == Undecided || i.targetBad() {
		i.restart(Undecided)
		return
	}
	i.restart(Dead)
}

// targetBad reports whether the target says nothing of the uplink, because nobody is answered by it.
func (i *probeState) targetBad() bool { return i.target.bad && !i.attributed }

func (i *probeState) vote() vote {
	return vote{liveness: i.effective, targetBad: i.targetBad(), reason: func() string { return i.probe.Target.String() + ": " + i.reason() }}
}

// reason says in words why it is not alive.
func (i *probeState) reason() string {
	switch t := i.detector.stats; {
	case t.lastErr != nil && i.detector.lostInRow > 0:
		return fmt.Sprintf("%v (%d lost)", t.lastErr, i.detector.lostInRow)
	case i.detector.answeredInRow > 0:
		return fmt.Sprintf("answers again, %d of %d in a row", i.detector.answeredInRow, i.probe.Rise)
	}
	return "not answered yet"
}

// sharedTarget is a target of one family with all who ask it. A gateway is asked by its own uplink only.
type sharedTarget struct {
	key                 targetKey
	probes              []*probeState
	bad                 bool
	attributionPending  bool      // a fall is not yet known to count or not
	attributionDeadline time.Time // when it counts at the latest
}

// targetKey tells targets apart. Two probes of an uplink for the same target are no two witnesses: each meets its likes.
type targetKey struct {
	target Target
	scope  Key // without the uplink, unless the target is its own
	nth    int
}

func targetKeyOf(p Probe, k Key, nth int) targetKey {
	if p.Target.Kind != Gateway {
		k.Uplink = ""
	}
	return targetKey{p.Target, k, nth}
}

func (c *sharedTarget) remove(i *probeState) {
	c.probes = slices.DeleteFunc(c.probes, func(m *probeState) bool { return m == i })
}

// active are the members whose uplinks have a link to ask by.
func (c *sharedTarget) active() (all []*probeState) {
	for _, i := range c.probes {
		if i.path.canProbe() {
			all = append(all, i)
		}
	}
	return all
}

func (i *probeState) report() targetReport {
	return targetReport{
		dead:         !i.failedAt.IsZero(),
		attributed:   i.attributed,
		suspectSince: i.suspectSince,
		failedAt:     i.failedAt,
		lastAnswered: i.detector.lastAnswered,
		grace:        i.probe.Interval + i.probe.Timeout,
	}
}
