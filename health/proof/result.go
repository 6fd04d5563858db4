package proof

import (
	"slices"
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

// Summarize returns the verdict on a path by those on its requests: the first No, else the first Unknown about a reply that was
// sent and lost, else the first Yes with a warning, else the first Yes, else the first Unknown. Configured services count like
// the other requests.
func Summarize(results []RequestResult) health.ProofCheck {
	rank := func(r RequestResult) int {
		switch {
		case r.Check.Result == health.No:
			return 0
		case r.Check.Result == health.Unknown && r.ReplyLost:
			return 1
		case r.Check.Warning():
			return 2
		case r.Check.Result == health.Yes:
			return 3
		}
		return 4
	}
	if len(results) == 0 {
		return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "no request was injected", Remedy: repair}
	}
	return slices.MinFunc(results, func(a, b RequestResult) int { return rank(a) - rank(b) }).Check
}

// Inconclusive returns the verdict on a path for which no request could be injected or captured.
func Inconclusive(err error) health.ProofCheck {
	return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: err.Error(), Remedy: "the route lookups and reply counters still apply"}
}
