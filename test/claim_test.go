package test

import (
	"fmt"
	"slices"
	"testing"
)

// must tells the median of a benchmark's figures and whether it keeps its bound, and fails where it does not. One that the
// median breaks and the better quartile keeps is within what noise can do.
func must(b *testing.B, figures []float64, unit string, most float64) {
	b.Helper()
	sorted := slices.Sorted(slices.Values(figures))
	median, better := sorted[len(sorted)/2], sorted[len(sorted)/4]
	b.ReportMetric(median, unit)
	said := fmt.Sprintf("%s: %.2f %s (%.2f to %.2f), at most %g", b.Name(), median, unit, sorted[0], sorted[len(sorted)-1], most)
	switch {
	case median <= most:
		b.Log("PASS", said)
	case better <= most:
		b.Log("PASS within noise", said)
	default:
		b.Error("FAIL", said)
	}
}
