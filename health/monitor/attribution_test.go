package monitor

import (
	"slices"
	"testing"
	"time"
)

func TestAttributeFailure(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	const grace = 2 * time.Second
	alive := func(answered int) targetReport { return targetReport{lastAnswered: at(answered), grace: grace} }
	failing := func(since, when int) targetReport {
		return targetReport{dead: true, suspectSince: at(since), failedAt: at(when), lastAnswered: at(since - 5), grace: grace}
	}
	down := targetReport{dead: true, attributed: true, suspectSince: at(-100), failedAt: at(-98), grace: grace}
	recovering := down
	recovering.lastAnswered = at(-1)
	for name, c := range map[string]struct {
		reports    []targetReport
		attributed []int
		bad        bool
		deadline   time.Time
	}{
		"no failure":                                    {reports: []targetReport{alive(0), alive(-1)}},
		"one uplink alone":                              {reports: []targetReport{failing(-2, 0)}, attributed: []int{0}},
		"answered elsewhere since":                      {reports: []targetReport{alive(-1), failing(-2, 0)}, attributed: []int{1}},
		"answered elsewhere before":                     {reports: []targetReport{alive(-3), failing(-2, 0)}, deadline: at(2)},
		"the deadline has passed":                       {reports: []targetReport{alive(-5), failing(-4, -2)}, attributed: []int{1}},
		"fails on all uplinks":                          {reports: []targetReport{failing(-3, -1), failing(-2, 0)}, bad: true},
		"fails on two of three uplinks":                 {reports: []targetReport{failing(-3, -1), failing(-2, 0), alive(-4)}, deadline: at(1)},
		"the other uplink was down before":              {reports: []targetReport{down, failing(-2, 0)}, attributed: []int{1}},
		"fails on two uplinks, a third was down before": {reports: []targetReport{down, failing(-2, 0), failing(-2, 0)}, bad: true},
		"an uplink that was down before is answered":    {reports: []targetReport{recovering, failing(-2, 0), failing(-3, 0)}, attributed: []int{1, 2}},
		"attributed before":                             {reports: []targetReport{down, alive(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			attributed, bad, deadline := attributeFailure(c.reports, now)
			if !slices.Equal(attributed, c.attributed) || bad != c.bad || !deadline.Equal(c.deadline) {
				t.Errorf("attributed %v, bad %v, deadline %v; want %v, %v, %v", attributed, bad, deadline, c.attributed, c.bad, c.deadline)
			}
		})
	}
}
