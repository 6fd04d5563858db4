package main

import (
	"slices"
	"testing"
)

func TestRequirementIsBrokenOnlyBeyondNoise(t *testing.T) {
	for name, c := range map[string]struct {
		requirement requirement
		want        string
	}{
		"well below":            {requirement{figure: sample{1, 1.1, 1.2}, bound: 1.5}, holds},
		"at the bound":          {requirement{figure: sample{1.5, 1.5, 1.5}, bound: 1.5}, holds},
		"the median is above":   {requirement{figure: sample{1, 1.2, 1.6, 1.7, 1.8}, bound: 1.5}, withinNoise},
		"all of it is above":    {requirement{figure: sample{1.6, 1.7, 1.8}, bound: 1.5}, broken},
		"well above, at least":  {requirement{figure: sample{9, 10, 11}, bound: 8, least: true}, holds},
		"the median is below":   {requirement{figure: sample{6, 7, 7.5, 8.5, 9}, bound: 8, least: true}, withinNoise},
		"all of it is below":    {requirement{figure: sample{6, 7, 7.5}, bound: 8, least: true}, broken},
		"nothing was measured":  {requirement{bound: 8}, broken},
		"one outlier is noise":  {requirement{figure: sample{1, 1, 1, 1, 99}, bound: 1.5}, holds},
		"one lucky value isn't": {requirement{figure: sample{1, 2, 2, 2, 2}, bound: 1.5}, broken},
	} {
		if got := c.requirement.verdict(); got != c.want {
			t.Errorf("%s: %s, expected %s", name, got, c.want)
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	// A machine that is twice as slow in the second round changes nothing.
	slow, fast := sample{30, 60, 30}, sample{10, 20, 10}
	if got := slow.over(fast).String(); got != "3.00 (3.00-3.00)" {
		t.Error(got)
	}
	if got := (sample{2, 4, 30, 60}).over(sample{1, 10}); !slices.Equal(got, sample{2, 4, 3, 6}) {
		t.Errorf("two figures of each round over one: %v", got)
	}
	if got := (sample{12, 14}).less(10).over(sample{12, 14}.less(10)).median(); got != 1 {
		t.Error(got)
	}
	if got := (sample{4, 1, 3, 2}).quantile(0.25); got != 1.75 {
		t.Error(got)
	}
	if got := (sample)(nil).String(); got != "-" {
		t.Error(got)
	}
}
