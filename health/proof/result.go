package proof

import (
	"time"

	"replypath/health"
)

// PathResult is the proof of one path.
type PathResult struct {
	Path     health.Path
	At       time.Time
	Routes   health.ProofCheck
	Trace    health.ProofCheck
	Requests []RequestResult // the verdicts that Trace summarizes
}

// Proof returns the result with the reply counters of the path's real connections.
func (f PathResult) Proof(counters health.ReplyCounts) health.Proof {
	return health.Proof{Routes: f.Routes, Replies: counters, Trace: f.Trace, At: f.At}
}

// Summarize returns the verdict on a path by those on its requests: the first No, else the first Yes, else the first Unknown.
// Configured services count like the other requests.
func Summarize(results []RequestResult) health.ProofCheck {
	sum := health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "no request was injected", Remedy: repair}
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

// Inconclusive returns the verdict on a path for which no request could be injected or captured.
func Inconclusive(err error) health.ProofCheck {
	return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: err.Error(), Remedy: "the route lookups and reply counters still apply"}
}

// Overall returns the verdict on all paths: No when a verdict on one is No, else Unknown when one is Unknown, else Yes.
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
