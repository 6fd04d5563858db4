package health

import "time"

// testimony is what one uplink's judge says of a target that several uplinks ask.
type testimony struct {
	dead     bool
	counts   bool          // its fall is held against the uplink already
	since    time.Time     // since when something seemed to be wrong
	fell     time.Time     // when it was found dead
	heard    time.Time     // when the newest question was asked that has been answered
	patience time.Duration // in which it is asked once more and answers, if it can
}

// convict says which of the falls are now held against their uplinks, and whether it is the target that is bad: it fails
// on all uplinks that ask it, two at least. When neither is known for a fall, next is when it counts at the latest.
//
// A target that any other uplink has got an answer from, to a question asked since the fall began to show, is not to
// blame. An uplink whose fall was held against it before is no witness that the target is bad: it says nothing new.
func convict(all []testimony, now time.Time) (fallen []int, bad bool, next time.Time) {
	witnesses, dead := 0, 0
	var patience time.Duration
	for _, t := range all {
		if t.counts {
			continue
		}
		witnesses++
		if t.dead {
			dead++
		} else {
			patience = max(patience, t.patience)
		}
	}
	for i, t := range all {
		if !t.dead || t.counts {
			continue
		}
		limit := t.fell.Add(patience)
		switch {
		case answeredSince(all, i), witnesses == 1, dead < witnesses && !now.Before(limit):
			fallen = append(fallen, i)
		case dead < witnesses && (next.IsZero() || limit.Before(next)):
			next = limit
		}
	}
	return fallen, len(fallen) == 0 && dead >= 2 && dead == witnesses, next
}

// answeredSince reports whether another than i got an answer to a question asked since i's fall began to show.
func answeredSince(all []testimony, i int) bool {
	for k, other := range all {
		if k != i && !other.heard.IsZero() && !other.heard.Before(all[i].since) {
			return true
		}
	}
	return false
}
