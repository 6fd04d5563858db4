package proof

import (
	"time"

	"replypath/health"
)

// PathResult is all that was asked and shown of a path.
type PathResult struct {
	Path     health.Path
	At       time.Time
	Routes   health.ProofCheck
	Trace    health.ProofCheck
	Requests []RequestResult // of the questions that were shown
}

// Proof is the finding with what was seen of real connections.
func (f PathResult) Proof(counters health.ReplyCounts) health.Proof {
	return health.Proof{Routes: f.Routes, Replies: counters, Trace: f.Trace, At: f.At}
}

// Summarize is what all answers of a path together say: No when any of them says so, else Yes when any does. A service that
// the operator named is looked at with the rest.
func Summarize(results []RequestResult) health.ProofCheck {
	sum := health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "no question could be put", Remedy: repair}
	for i, r := range results {
		switch {
		case r.Check.Result == health.No && sum.Result != health.No:
			sum = r.Check
		case sum.Result == health.Unknown && (i == 0 || r.Check.Result == health.Yes):
			sum = r.Check
		}
	}
	return sum
}

// Inconclusive is the check of a path that nothing could be shown of.
func Inconclusive(err error) health.ProofCheck {
	return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: err.Error(), Remedy: "what is asked and seen still stands"}
}

// Overall is what all findings together say: No when a reply strays, or would; Unknown when of some path nothing could be
// found out.
func Overall(results []PathResult) health.Result {
	sum := health.Yes
	for _, r := range results {
		switch {
		case r.Routes.Result == health.No || r.Trace.Result == health.No:
			return health.No
		case r.Routes.Result == health.Unknown || r.Trace.Result == health.Unknown:
			sum = health.Unknown
		}
	}
	return sum
}
