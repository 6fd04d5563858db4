package test

import (
	"fmt"
	"slices"
	"testing"
)

// reportMedian tells the median of a benchmark's figures, and gives the better quartile and both in words too.
func reportMedian(b *testing.B, figures []float64, unit string) (median, better float64, output string) {
	b.Helper()
	sorted := slices.Sorted(slices.Values(figures))
	median = sorted[len(sorted)/2]
	b.ReportMetric(median, unit)
	return median, sorted[len(sorted)/4], fmt.Sprintf("%s: %.2f %s (%.2f to %.2f)", b.Name(), median, unit, sorted[0], sorted[len(sorted)-1])
}

// requireBound tells whether the median keeps its bound as well, and fails where it does not. One that the median breaks and the
// better quartile keeps is within what noise can do.
func requireBound(b *testing.B, figures []float64, unit string, most float64) {
	b.Helper()
	median, better, output := reportMedian(b, figures, unit)
	switch {
	case median <= most:
		b.Logf("PASS %s, at most %g", output, most)
	case better <= most:
		b.Logf("PASS within noise %s, at most %g", output, most)
	default:
		b.Errorf("FAIL %s, at most %g", output, most)
	}
}
