package perf

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/marks"
	"replypath/marks/nftables"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

const (
	// nativeBound is what loading the table may cost, over nft -f of the same.
	nativeBound   = 0.7
	nativeUplinks = 250
	nativeRounds  = 11
)

// BenchmarkNativeLoad measures the CPU time of loading the table of nftables for 250 uplinks in both families, from nothing, over
// that of nft -f with what nft(8) has listed of it. Both take turns, and the medians count.
func BenchmarkNativeLoad(b *testing.B) {
	for range b.N {
		gateway := world.New(b).Host("gw")
		var own, nft []time.Duration
		gateway.Do(func() { own = append(own, load(b)) })
		listed := gateway.Run("nft", "-s", "list", "table", "inet", marks.NFTTable)
		for range nativeRounds {
			gateway.Run("nft", "flush", "ruleset")
			command := gateway.Command(b.Context(), "nft", "-f", "-")
			command.Stdin = strings.NewReader(listed)
			if out, err := command.CombinedOutput(); err != nil {
				b.Fatalf("nft -f: %v: %s", err, out)
			}
			nft = append(nft, command.ProcessState.UserTime()+command.ProcessState.SystemTime())
			gateway.Run("nft", "flush", "ruleset")
			gateway.Do(func() { own = append(own, load(b)) })
		}
		slices.Sort(own)
		slices.Sort(nft)
		ratio := float64(own[len(own)/2]) / float64(nft[len(nft)/2])
		b.ReportMetric(ratio, "over-nft")
		b.Logf("%d uplinks: %s, by nft -f %s: %.2f", nativeUplinks, own[len(own)/2], nft[len(nft)/2], ratio)
		if ratio > nativeBound {
			b.Errorf("loading costs %.2f of nft -f, want %.2f at most", ratio, nativeBound)
		}
	}
}

// load loads the table of both families, as an apply does, and returns the CPU time of the thread.
func load(b *testing.B) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ingress []marks.Ingress
	mask := marks.Mask(0xff00)
	for i := range nativeUplinks {
		ingress = append(ingress, marks.Ingress{Link: fmt.Sprintf("wan%d", i), Mark: mask.Mark(marks.ID(i + 1))})
	}
	began := threadTime(b)
	ipv4, ipv6 := nftables.New()
	for _, firewall := range []*nftables.Firewall{ipv4, ipv6} {
		var c marks.Change
		for _, chain := range marks.MapChains(mask, 8200, false, ingress) {
			c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
		}
		for _, h := range marks.Hooks {
			c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
		}
		if err := firewall.Apply(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	return threadTime(b) - began
}

// threadTime returns the CPU time of the thread, in the kernel too.
func threadTime(b *testing.B) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		b.Fatal(err)
	}
	return time.Duration(now.Nano())
}
