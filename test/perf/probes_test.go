package perf

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// BenchmarkServiceWithProbes measures the cost of the whole service with 64 probes at five per second, by two uplinks in both
// families: with detectors, history and proofs.
func BenchmarkServiceWithProbes(b *testing.B) {
	for _, dead := range []bool{false, true} {
		b.Run(map[bool]string{false: "answered", true: "dead"}[dead], func(b *testing.B) {
			w := world.TwoISPs(b)
			config := benchConfig(w)
			for _, u := range w.Uplinks {
				if dead {
					u.ISP.SetSysctl("net.ipv4.ip_forward", "0")
					u.ISP.SetSysctl("net.ipv6.conf.all.forwarding", "0")
				}
			}
			for b.Loop() {
				cmd := startServiceInBench(b, w.Gateway, config).Command
				time.Sleep(10 * time.Second) // longer than the first detection takes
				before, began, memory := box.CPUTicks(b, cmd.Process.Pid), time.Now(), box.Resident(b, cmd.Process.Pid)
				time.Sleep(box.BenchTime(b))
				share := 100 * float64(box.CPUTicks(b, cmd.Process.Pid)-before) / ticks / time.Since(began).Seconds()
				now := box.Resident(b, cmd.Process.Pid)
				box.RequireBound(b, []float64{share}, "%core", box.BenchCPU)
				box.RequireBound(b, []float64{float64(now) / 1024}, "MiB", box.BenchMemory)
				box.RequireBound(b, []float64{float64(now-memory) / 1024}, "MiB-grown", box.BenchGrowth)
				killInBench(b, cmd)
			}
		})
	}
}

// benchConfig returns a configuration that probes the client by each uplink in both families.
func benchConfig(w *world.Internet) string {
	var text strings.Builder
	fmt.Fprintf(&text, "probes.interval = %q\nprobes.retry = %q\n", box.BenchEvery, box.BenchEvery)
	for _, u := range w.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
		for i := range box.ProbesInBench / len(w.Uplinks) / len(uplinks.Families) {
			fmt.Fprintf(&text, "probes.a%d.target = \"icmp://%s\"\nprobes.b%d.target = \"icmp://[%s]\"\n", i, w.Client4, i, w.Client6)
		}
	}
	return text.String()
}
