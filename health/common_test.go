package health

import (
	"slices"
	"testing"
	"time"
)

func TestConvict(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	const patience = 2 * time.Second
	alive := func(heard int) testimony { return testimony{heard: at(heard), patience: patience} }
	fell := func(since, when int) testimony {
		return testimony{dead: true, since: at(since), fell: at(when), heard: at(since - 5), patience: patience}
	}
	old := testimony{dead: true, counts: true, since: at(-100), fell: at(-98), patience: patience}
	back := old
	back.heard = at(-1)
	for name, c := range map[string]struct {
		all    []testimony
		fallen []int
		bad    bool
		next   time.Time
	}{
		"all is well":                                         {all: []testimony{alive(0), alive(-1)}},
		"nobody else asks it":                                 {all: []testimony{fell(-2, 0)}, fallen: []int{0}},
		"another was answered since":                          {all: []testimony{alive(-1), fell(-2, 0)}, fallen: []int{1}},
		"another was answered before":                         {all: []testimony{alive(-3), fell(-2, 0)}, next: at(2)},
		"another was asked for long enough":                   {all: []testimony{alive(-5), fell(-4, -2)}, fallen: []int{1}},
		"it fails everywhere":                                 {all: []testimony{fell(-3, -1), fell(-2, 0)}, bad: true},
		"it fails on two of three":                            {all: []testimony{fell(-3, -1), fell(-2, 0), alive(-4)}, next: at(1)},
		"the other was down before":                           {all: []testimony{old, fell(-2, 0)}, fallen: []int{1}},
		"the other was down before, and it fails on two more": {all: []testimony{old, fell(-2, 0), fell(-2, 0)}, bad: true},
		"one that was down before is answered":                {all: []testimony{back, fell(-2, 0), fell(-3, 0)}, fallen: []int{1, 2}},
		"what counts already":                                 {all: []testimony{old, alive(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			fallen, bad, next := convict(c.all, now)
			if !slices.Equal(fallen, c.fallen) || bad != c.bad || !next.Equal(c.next) {
				t.Errorf("counts %v, bad %v, next %v; want %v, %v, %v", fallen, bad, next, c.fallen, c.bad, c.next)
			}
		})
	}
}

func TestQuorum(t *testing.T) {
	says := func(why string) func() string { return func() string { return why } }
	yes, no := ballot{verdict: Alive}, ballot{verdict: Dead, why: says("x: no answer")}
	maybe, bad := ballot{verdict: Undecided, why: says("y: not answered yet")}, ballot{verdict: Dead, bad: true, why: says("bad")}
	for name, c := range map[string]struct {
		need   int
		all    []ballot
		want   Verdict
		reason string
	}{
		"nobody is asked":                  {1, nil, Alive, ""},
		"one of one":                       {1, []ballot{yes}, Alive, ""},
		"none of one":                      {1, []ballot{no}, Dead, "nobody answers: x: no answer"},
		"not yet":                          {1, []ballot{maybe}, Undecided, "no answer yet: y: not answered yet"},
		"one of two is enough":             {1, []ballot{no, yes}, Alive, ""},
		"one of two is not enough":         {2, []ballot{no, yes}, Dead, "1 of 2 answer, and 2 must: x: no answer"},
		"one answers, the other may":       {2, []ballot{maybe, yes}, Undecided, "no answer yet: y: not answered yet"},
		"the rest cannot make it":          {2, []ballot{maybe, no}, Dead, "nobody answers: y: not answered yet; x: no answer"},
		"two of three":                     {2, []ballot{yes, no, yes}, Alive, ""},
		"a bad target is not counted":      {2, []ballot{yes, bad}, Alive, ""},
		"a bad target saves nobody":        {1, []ballot{no, bad}, Dead, "nobody answers: x: no answer"},
		"only bad targets: the link alone": {1, []ballot{bad, bad}, Alive, ""},
		"more needed than there are":       {3, []ballot{yes, yes}, Alive, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if v, reason := quorum(c.need, c.all); v != c.want || reason != c.reason {
				t.Errorf("%v, %q; want %v, %q", v, reason, c.want, c.reason)
			}
		})
	}
}
