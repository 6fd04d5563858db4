package box

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// Bounds of 64 probes at five per second. The CPU time of HTTP probes is reported without a bound: it is about the bound, where a Go program that does no more than to connect, write a line and read one on loopback
// takes as much, and twice that with TLS that is resumed.
const (
	ProbesInBench = 64
	BenchEvery    = 200 * time.Millisecond
	BenchCPU      = 10 // percent of one core
	BenchMemory   = 40 // MiB resident
	BenchGrowth   = 4  // MiB, resident, after the first quarter of the time
	BenchSegments = 3  // in which the time on the CPU is measured
)

// BenchTime returns how long each case lasts: REPLYPATH_ASK.
func BenchTime(b *testing.B) time.Duration {
	b.Helper()
	text := os.Getenv("REPLYPATH_ASK")
	if text == "" {
		return 10 * time.Second
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		b.Fatal(err)
	}
	return long
}

// ReportMedian reports the median of a benchmark's figures, and returns it, the better quartile, and both as text.
func ReportMedian(b *testing.B, figures []float64, unit string) (median, better float64, output string) {
	b.Helper()
	sorted := slices.Sorted(slices.Values(figures))
	median = sorted[len(sorted)/2]
	b.ReportMetric(median, unit)
	return median, sorted[len(sorted)/4], fmt.Sprintf("%s: %.2f %s (%.2f to %.2f)", b.Name(), median, unit, sorted[0], sorted[len(sorted)-1])
}

// RequireBound reports whether the median keeps its bound as well, and fails where it does not. One that the median breaks and the
// better quartile keeps is within what noise can do.
func RequireBound(b *testing.B, figures []float64, unit string, most float64) {
	b.Helper()
	median, better, output := ReportMedian(b, figures, unit)
	switch {
	case median <= most:
		b.Logf("PASS %s, at most %g", output, most)
	case better <= most:
		b.Logf("PASS within noise %s, at most %g", output, most)
	default:
		b.Errorf("FAIL %s, at most %g", output, most)
	}
}
