package monitor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// BenchmarkAnsweredProbes measures what the engine does for a probe that is answered.
func BenchmarkAnsweredProbes(b *testing.B) {
	e, now := newEngine(), time.Now()
	var (
		s     health.Settings
		paths []health.Path
	)
	for i := range 250 {
		s.Uplinks = append(s.Uplinks, health.UplinkSettings{Name: fmt.Sprintf("isp%d", i), Quorum: 1})
		for _, f := range uplinks.Families {
			paths = append(paths, testPath(s.Uplinks[i].Name, i, f))
		}
	}
	e.configure(s, paths, now)
	e.start(context.Background())
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		for sent++; len(e.output.probes) == 0; {
			if next := e.runAgenda(now); next.After(now) {
				now = next
			}
		}
		p := e.output.probes[0]
		e.output.probes = e.output.probes[1:]
		e.recordOutcome(p.state, p.sequence, now, health.Outcome{Sent: now, RTT: time.Millisecond})
	}
}
