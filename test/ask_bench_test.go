package test

import (
	"maps"
	"os"
	"slices"
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

// BenchmarkAsking tells what 64 probes of a kind cost that ask five times per second, when all are answered and when
// none is. What the network between the hosts of this world costs, as far as it is done while a question is sent, is in
// it.
func BenchmarkAsking(b *testing.B) {
	w := world.TwoISPs(b)
	w.Client.ServeTCP(servedPort)
	targets := map[string]health.Target{"icmp": echo(w.Client4), "tcp": tcp(w.Client4, servedPort), "gateway": gateway}
	for _, dead := range []bool{false, true} {
		if dead {
			w.Uplinks[0].ISP.SetSysctl("net.ipv4.ip_forward", "0")
			w.Uplinks[0].ISP.Run("ip", "link", "set", "port0", "arp", "off")
		}
		for _, kind := range slices.Sorted(maps.Keys(targets)) {
			b.Run(kind+map[bool]string{false: "/answered", true: "/dead"}[dead], func(b *testing.B) {
				e := asking(path(w.Uplinks[0], uplinks.IPv4), targets[kind], health.DefaultTimeout)
				e.Times, e.Every, e.For = benchProbes, benchEvery, benchTime(b)
				benchAsking(b, w, e)
			})
		}
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
