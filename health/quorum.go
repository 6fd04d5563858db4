package health

import (
	"fmt"
	"strings"
)

// ballot is what one probe says of its uplink.
type ballot struct {
	verdict Verdict
	bad     bool   // its target is: it says nothing of the uplink
	why     string // it is not alive
}

// Quorum says from the probes of a family whether it is up: at least need of them must be alive, or all of them if they
// are fewer. Where there is no probe that says anything, nothing speaks against it. The reason is in words when it is not
// up.
func quorum(need int, ballots []ballot) (v Verdict, reason string) {
	asked, alive, undecided := 0, 0, 0
	var why []string
	for _, b := range ballots {
		if b.bad {
			continue
		}
		asked++
		switch b.verdict {
		case Alive:
			alive++
			continue
		case Undecided:
			undecided++
		}
		why = append(why, b.why)
	}
	need = min(max(need, 1), asked)
	switch {
	case alive >= need:
		return Alive, ""
	case alive+undecided >= need:
		return Undecided, "no answer yet: " + strings.Join(why, "; ")
	case asked == 1 || alive == 0:
		return Dead, "nobody answers: " + strings.Join(why, "; ")
	}
	return Dead, fmt.Sprintf("%d of %d answer, and %d must: %s", alive, asked, need, strings.Join(why, "; "))
}
