package monitor

import "testing"

func TestQuorum(t *testing.T) {
	because := func(text string) func() string { return func() string { return text } }
	alive, dead := vote{liveness: Alive}, vote{liveness: Dead, reason: because("x: no answer")}
	undecided, bad := vote{liveness: Undecided, reason: because("y: not answered yet")}, vote{liveness: Dead, targetBad: true, reason: because("bad")}
	for name, c := range map[string]struct {
		required int
		votes    []vote
		want     Liveness
		reason   string
	}{
		"no votes":                             {1, nil, Alive, ""},
		"one of one":                           {1, []vote{alive}, Alive, ""},
		"none of one":                          {1, []vote{dead}, Dead, "no probe is answered: x: no answer"},
		"undecided":                            {1, []vote{undecided}, Undecided, "waiting for the first answer: y: not answered yet"},
		"one of two is enough":                 {1, []vote{dead, alive}, Alive, ""},
		"one of two is not enough":             {2, []vote{dead, alive}, Dead, "1 of 2 probes are answered, the quorum is 2: x: no answer"},
		"one alive, one undecided":             {2, []vote{undecided, alive}, Undecided, "waiting for the first answer: y: not answered yet"},
		"the undecided are too few":            {2, []vote{undecided, dead}, Dead, "no probe is answered: y: not answered yet; x: no answer"},
		"two of three":                         {2, []vote{alive, dead, alive}, Alive, ""},
		"a bad target is not counted":          {2, []vote{alive, bad}, Alive, ""},
		"a bad target does not count as alive": {1, []vote{dead, bad}, Dead, "no probe is answered: x: no answer"},
		"bad targets only":                     {1, []vote{bad, bad}, Alive, ""},
		"fewer votes than required":            {3, []vote{alive, alive}, Alive, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if v, reason := quorum(c.required, c.votes); v != c.want || reason != c.reason {
				t.Errorf("%v, %q; want %v, %q", v, reason, c.want, c.reason)
			}
		})
	}
}
