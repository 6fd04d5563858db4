package monitor

import (
	"slices"
	"testing"
	"time"
)

func TestAttributeFailure(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	const patience = 2 * time.Second
	alive := func(heard int) targetReport { return targetReport{lastAnswered: at(heard), grace: patience} }
	fell := func(since, when int) targetReport {
		return targetReport{dead: true, suspectSince: at(since), failedAt: at(when), lastAnswered: at(since - 5), grace: patience}
	}
	old := targetReport{dead: true, attributed: true, suspectSince: at(-100), failedAt: at(-98), grace: patience}
	back := old
	back.lastAnswered = at(-1)
	for name, c := range map[string]struct {
		all    []targetReport
		fallen []int
		bad    bool
		next   time.Time
	}{
		"all is well":                                         {all: []targetReport{alive(0), alive(-1)}},
		"nobody else asks it":                                 {all: []targetReport{fell(-2, 0)}, fallen: []int{0}},
		"another was answered since":                          {all: []targetReport{alive(-1), fell(-2, 0)}, fallen: []int{1}},
		"another was answered before":                         {all: []targetReport{alive(-3), fell(-2, 0)}, next: at(2)},
		"another was asked for long enough":                   {all: []targetReport{alive(-5), fell(-4, -2)}, fallen: []int{1}},
		"it fails everywhere":                                 {all: []targetReport{fell(-3, -1), fell(-2, 0)}, bad: true},
		"it fails on two of three":                            {all: []targetReport{fell(-3, -1), fell(-2, 0), alive(-4)}, next: at(1)},
		"the other was down before":                           {all: []targetReport{old, fell(-2, 0)}, fallen: []int{1}},
		"the other was down before, and it fails on two more": {all: []targetReport{old, fell(-2, 0), fell(-2, 0)}, bad: true},
		"one that was down before is answered":                {all: []targetReport{back, fell(-2, 0), fell(-3, 0)}, fallen: []int{1, 2}},
		"what counts already":                                 {all: []targetReport{old, alive(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			fallen, bad, next := attributeFailure(c.all, now)
			if !slices.Equal(fallen, c.fallen) || bad != c.bad || !next.Equal(c.next) {
				t.Errorf("counts %v, bad %v, next %v; want %v, %v, %v", fallen, bad, next, c.fallen, c.bad, c.next)
			}
		})
	}
}

func TestQuorum(t *testing.T) {
	says := func(why string) func() string { return func() string { return why } }
	yes, no := vote{liveness: Alive}, vote{liveness: Dead, reason: says("x: no answer")}
	maybe, bad := vote{liveness: Undecided, reason: says("y: not answered yet")}, vote{liveness: Dead, targetBad: true, reason: says("bad")}
	for name, c := range map[string]struct {
		need   int
		all    []vote
		want   Liveness
		reason string
	}{
		"nobody is asked":                  {1, nil, Alive, ""},
		"one of one":                       {1, []vote{yes}, Alive, ""},
		"none of one":                      {1, []vote{no}, Dead, "no probe is answered: x: no answer"},
		"not yet":                          {1, []vote{maybe}, Undecided, "waiting for the first answer: y: not answered yet"},
		"one of two is enough":             {1, []vote{no, yes}, Alive, ""},
		"one of two is not enough":         {2, []vote{no, yes}, Dead, "1 of 2 probes are answered, the quorum is 2: x: no answer"},
		"one answers, the other may":       {2, []vote{maybe, yes}, Undecided, "waiting for the first answer: y: not answered yet"},
		"the rest cannot make it":          {2, []vote{maybe, no}, Dead, "no probe is answered: y: not answered yet; x: no answer"},
		"two of three":                     {2, []vote{yes, no, yes}, Alive, ""},
		"a bad target is not counted":      {2, []vote{yes, bad}, Alive, ""},
		"a bad target saves nobody":        {1, []vote{no, bad}, Dead, "no probe is answered: x: no answer"},
		"only bad targets: the link alone": {1, []vote{bad, bad}, Alive, ""},
		"more needed than there are":       {3, []vote{yes, yes}, Alive, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if v, reason := quorum(c.need, c.all); v != c.want || reason != c.reason {
				t.Errorf("%v, %q; want %v, %q", v, reason, c.want, c.reason)
			}
		})
	}
}
