package monitor

import (
	"fmt"
	"strings"
)

// vote is the vote of one probe on its path.
type vote struct {
	liveness  Liveness
	targetBad bool          // the vote does not count
	reason    func() string // why the target is not alive
}

// quorum returns Alive if at least required votes are, or all if there are fewer. Without votes that count it is Alive. The
// reason is empty when it is Alive.
func quorum(required int, votes []vote) (l Liveness, reason string) {
	counted, alive, undecided := 0, 0, 0
	for _, v := range votes {
		if v.targetBad {
			continue
		}
		counted++
		switch v.liveness {
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
		return Undecided, "waiting for the first answer: " + reasons(votes)
	case counted == 1 || alive == 0:
		return Dead, "no probe is answered: " + reasons(votes)
	}
	return Dead, fmt.Sprintf("%d of %d probes are answered, the quorum is %d: %s", alive, counted, required, reasons(votes))
}

// reasons joins the reasons of all counted votes that are not Alive.
func reasons(votes []vote) string {
	var all []string
	for _, v := range votes {
		if !v.targetBad && v.liveness != Alive {
			all = append(all, v.reason())
		}
	}
	return strings.Join(all, "; ")
}
