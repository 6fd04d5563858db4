package monitor

import "time"

// targetReport is the report of one uplink's detector on a target that several uplinks probe.
type targetReport struct {
	dead         bool
	attributed   bool          // the failure was attributed to the uplink already
	suspectSince time.Time     // when the failure began to show
	failedAt     time.Time     // when the detector turned Dead
	lastAnswered time.Time     // when the newest answered probe was sent
	grace        time.Duration // in which one more probe is sent and answered
}

func (s *probeState) report() targetReport {
	return targetReport{
		dead:         !s.failedAt.IsZero(),
		attributed:   s.attributed,
		suspectSince: s.suspectSince,
		failedAt:     s.failedAt,
		lastAnswered: s.detector.lastAnswered,
		grace:        s.probe.Interval + s.probe.Timeout,
	}
}

// attributeFailure returns the indices of the reports whose failure is the uplink's, or that the target itself is bad, as it
// fails on all uplinks and on two at least. While a failure is neither, deadline is when it will be the uplink's.
//
// A failure is the uplink's if the target has answered through another uplink a probe that was sent after the failure began
// to show. Uplinks to which the failure was attributed before are no evidence of a bad target.
func attributeFailure(reports []targetReport, now time.Time) (attributed []int, targetBad bool, deadline time.Time) {
	candidates, dead := 0, 0
	var grace time.Duration
	for _, r := range reports {
		if r.attributed {
			continue
		}
		candidates++
		if r.dead {
			dead++
		} else {
			grace = max(grace, r.grace)
		}
	}
	for i, r := range reports {
		if !r.dead || r.attributed {
			continue
		}
		limit := r.failedAt.Add(grace)
		switch {
		case answeredElsewhere(reports, i), candidates == 1, dead < candidates && !now.Before(limit):
			attributed = append(attributed, i)
		case dead < candidates && (deadline.IsZero() || limit.Before(deadline)):
			deadline = limit
		}
	}
	return attributed, len(attributed) == 0 && dead >= 2 && dead == candidates, deadline
}

// answeredElsewhere reports whether another uplink got an answer to a probe that it sent after failure i began to show.
func answeredElsewhere(reports []targetReport, i int) bool {
	for k, other := range reports {
		if k != i && !other.lastAnswered.IsZero() && !other.lastAnswered.Before(reports[i].suspectSince) {
			return true
		}
	}
	return false
}
