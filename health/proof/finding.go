package proof

import (
	"time"

	"replypath/health"
)

// Finding is all that was asked and shown of a path.
type Finding struct {
	Path    health.Path
	At      time.Time
	Asked   health.Check
	Shown   health.Check
	Answers []Answer // of the questions that were shown
}

// Proof is the finding with what was seen of real connections.
func (f Finding) Proof(seen health.Seen) health.Proof {
	return health.Proof{Asked: f.Asked, Seen: seen, Shown: f.Shown, At: f.At}
}

// Sum is what all answers of a path together say: No when any of them says so, else Yes when any does. A service that
// the operator named is looked at with the rest.
func Sum(answers []Answer) health.Check {
	sum := health.Check{Result: health.Unknown, Cause: health.CannotShow, Why: "no question could be put", Remedy: repair}
	for i, a := range answers {
		switch {
		case a.Check.Result == health.No && sum.Result != health.No:
			sum = a.Check
		case sum.Result == health.Unknown && (i == 0 || a.Check.Result == health.Yes):
			sum = a.Check
		}
	}
	return sum
}

// CannotShow is the check of a path that nothing could be shown of.
func CannotShow(err error) health.Check {
	return health.Check{Result: health.Unknown, Cause: health.CannotShow, Why: err.Error(), Remedy: "what is asked and seen still stands"}
}

// Result is what all findings together say: No when a reply strays, or would; Unknown when of some path nothing could be
// found out.
func Result(findings []Finding) health.Result {
	sum := health.Yes
	for _, f := range findings {
		switch {
		case f.Asked.Result == health.No || f.Shown.Result == health.No:
			return health.No
		case f.Asked.Result == health.Unknown || f.Shown.Result == health.Unknown:
			sum = health.Unknown
		}
	}
	return sum
}
