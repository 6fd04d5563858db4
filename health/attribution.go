package health

import "time"

// targetReport is what one uplink's judge says of a target that several uplinks ask.
type targetReport struct {
	dead         bool
	attributed   bool          // its fall is held against the uplink already
	suspectSince time.Time     // since when something seemed to be wrong
	failedAt     time.Time     // when it was found dead
	lastAnswered time.Time     // when the newest question was asked that has been answered
	grace        time.Duration // in which it is asked once more and answers, if it can
}

// attributeFailure says which of the falls are now held against their uplinks, and whether it is the target that is bad: it fails
// on all uplinks that ask it, two at least. When neither is known for a fall, next is when it counts at the latest.
//
// A target that any other uplink has got an answer from, to a question asked since the fall began to show, is not to
// blame. An uplink whose fall was held against it before is no witness that the target is bad: it says nothing new.
func attributeFailure(reports []targetReport, now time.Time) (attributed []int, targetBad bool, deadline time.Time) {
	candidates, dead := 0, 0
	var grace time.Duration
	for _, t := range reports {
		if t.attributed {
			continue
		}
		candidates++
		if t.dead {
			dead++
		} else {
			grace = max(grace, t.grace)
		}
	}
	for i, t := range reports {
		if !t.dead || t.attributed {
			continue
		}
		limit := t.failedAt.Add(grace)
		switch {
		case answeredElsewhere(reports, i), candidates == 1, dead < candidates && !now.Before(limit):
			attributed = append(attributed, i)
		case dead < candidates && (deadline.IsZero() || limit.Before(deadline)):
			deadline = limit
		}
	}
	return attributed, len(attributed) == 0 && dead >= 2 && dead == candidates, deadline
}

// answeredElsewhere reports whether another than i got an answer to a question asked since i's fall began to show.
func answeredElsewhere(reports []targetReport, i int) bool {
	for k, other := range reports {
		if k != i && !other.lastAnswered.IsZero() && !other.lastAnswered.Before(reports[i].suspectSince) {
			return true
		}
	}
	return false
}
