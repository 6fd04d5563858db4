package main

import (
	"fmt"
	"math"
	"slices"
)

// sample is what was measured again and again, once in each round.
type sample []float64

// over returns the ratio of this to another, round by round: what disturbs one round disturbs both. One of them can have several
// figures of a round.
func (s sample) over(other sample) sample {
	if len(s) == 0 || len(other) == 0 {
		return nil
	}
	ratios := make(sample, max(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i*len(s)/len(ratios)] / other[i*len(other)/len(ratios)]
	}
	return ratios
}

// less returns the sample without a part that costs the same each time.
func (s sample) less(part float64) sample {
	rest := make(sample, len(s))
	for i, v := range s {
		rest[i] = v - part
	}
	return rest
}

func (s sample) median() float64 { return s.quantile(0.5) }

// quantile returns the value that this share of the sample lies below.
func (s sample) quantile(share float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := share * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// String returns the median, and between what the middle half of the sample lies.
func (s sample) String() string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s-%s)", short(s.median()), short(s.quantile(0.25)), short(s.quantile(0.75)))
}

// short returns a figure with as many digits as mean something.
func short(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
