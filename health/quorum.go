package health

import (
	"fmt"
	"strings"
)

// ballot is what one probe says of its uplink.
type ballot struct {
	verdict Verdict
	bad     bool          // its target is: it says nothing of the uplink
	why     func() string // it is not alive
}

// Quorum says from the probes of a family whether it is up: at least need of them must be alive, or all of them if they
// are fewer. Where there is no probe that says anything, nothing speaks against it. The reason is in words when it is not
// up.
func quorum(need int, ballots []ballot) (v Verdict, reason string) {
	asked, alive, undecided := 0, 0, 0
	for _, b := range ballots {
		if b.bad {
			continue
		}
		asked++
		switch b.verdict {
		case Alive:
			alive++
		case Undecided:
			undecided++
		}
	}
	need = min(max(need, 1), asked)
	switch {
	case alive >= need:
		return Alive, ""
	case alive+undecided >= need:
		return Undecided, "no answer yet: " + reasons(ballots)
	case asked == 1 || alive == 0:
		return Dead, "nobody answers: " + reasons(ballots)
	}
	return Dead, fmt.Sprintf("%d of %d answer, and %d must: %s", alive, asked, need, reasons(ballots))
}

// reasons are those of all that are not alive.
func reasons(ballots []ballot) string {
	var why []string
	for _, b := range ballots {
		if !b.bad && b.verdict != Alive {
			why = append(why, b.why())
		}
	}
	return strings.Join(why, "; ")
}
