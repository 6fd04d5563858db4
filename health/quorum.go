package health

import (
	"fmt"
	"strings"
)

// vote is what one probe says of its uplink.
type vote struct {
	liveness  Liveness
	targetBad bool          // its target is: it says nothing of the uplink
	reason    func() string // it is not alive
}

// Quorum says from the probes of a family whether it is up: at least need of them must be alive, or all of them if they
// are fewer. Where there is no probe that says anything, nothing speaks against it. The reason is in words when it is not
// up.
func quorum(required int, votes []vote) (v Liveness, reason string) {
	counted, alive, undecided := 0, 0, 0
	for _, b := range votes {
		if b.targetBad {
			continue
		}
		counted++
		switch b.liveness {
		case Alive:
			alive++
		case Undecided:
			undecided++
		}
	}
	required = min(max(required, 1), counted)
	switch {
	case alive >= required:
		return Alive, ""
	case alive+undecided >= required:
		return Undecided, "no answer yet: " + reasons(votes)
	case counted == 1 || alive == 0:
		return Dead, "nobody answers: " + reasons(votes)
	}
	return Dead, fmt.Sprintf("%d of %d answer, and %d must: %s", alive, counted, required, reasons(votes))
}

// reasons are those of all that are not alive.
func reasons(votes []vote) string {
	var all []string
	for _, b := range votes {
		if !b.targetBad && b.liveness != Alive {
			all = append(all, b.reason())
		}
	}
	return strings.Join(all, "; ")
}
