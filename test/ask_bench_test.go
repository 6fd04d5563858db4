package test

import (
	"os"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/world"
	"replypath/uplinks"
)

const (
	benchProbes = 64
	benchEvery  = 200 * time.Millisecond
)

// benchTime is how long each case lasts, as REPLYPATH_ASK says.
func benchTime(b *testing.B) time.Duration {
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

// BenchmarkAsking tells what 64 probes cost that ask five times per second, when all are answered and when none is.
func BenchmarkAsking(b *testing.B) {
	for _, dead := range []bool{false, true} {
		b.Run(map[bool]string{false: "answered", true: "dead"}[dead], func(b *testing.B) {
			w := world.TwoISPs(b)
			u := w.Uplinks[0]
			if dead {
				u.ISP.SetSysctl("net.ipv4.ip_forward", "0")
			}
			e := asking(path(u, uplinks.IPv4), echo(w.Client4), health.DefaultTimeout)
			e.Times, e.Every, e.For = benchProbes, benchEvery, benchTime(b)
			benchAsking(b, w, e)
		})
	}
}

func benchAsking(b *testing.B, w *world.Internet, e errand) {
	b.Helper()
	a := startAsker(b, w.Gateway.Command(b.Context(), "/proc/self/exe", "-test.run=^$"))
	for b.Loop() {
		warm := e
		warm.For = time.Second
		before := a.run(warm)
		f := a.run(e)
		b.ReportMetric(100*(f.CPU-before.CPU).Seconds()/f.Took.Seconds(), "%core")
		b.ReportMetric(float64(before.Resident)/(1<<20), "MiB-begin")
		b.ReportMetric(float64(f.Resident)/(1<<20), "MiB-end")
		b.ReportMetric(float64(f.Heap)/(1<<20), "MiB-heap")
		b.ReportMetric(float64(f.Lost), "lost-last")
	}
	a.end()
}
