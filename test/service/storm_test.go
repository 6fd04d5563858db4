package service

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

const (
	stormRoutes = 10000
	stormRounds = 3
	stormGrowth = 40 << 10 // KiB

	foreignTable = "via 192.0.2.1 dev eth1 table 100 protocol 186"
)

// storm changes foreign routes as fast as the kernel takes them, and returns how many per second.
func storm(t *testing.T, b *box.Box, where string) int {
	t.Helper()
	var batch strings.Builder
	for range stormRounds {
		for _, verb := range []string{"add", "del"} {
			for i := range stormRoutes {
				fmt.Fprintf(&batch, "route %s 198.18.%d.%d/32 %s\n", verb, 100+i/250, i%250, where)
			}
		}
	}
	cmd := b.Gateway.Command(t.Context(), "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("storm: %v: %s", err, out)
	}
	return int(2 * stormRounds * stormRoutes / time.Since(began).Seconds())
}

// stormUntil repeats the storm until the repairs are done: none of them can have waited for its end.
func stormUntil(t *testing.T, b *box.Box, where string, repaired <-chan struct{}) (rates []int) {
	for {
		rates = append(rates, storm(t, b, where))
		select {
		case <-repaired:
			return rates
		default:
		}
	}
}

func TestRouteStormDoesNotDelayRepairs(t *testing.T) {
	t.Parallel()
	for what, where := range map[string]string{
		"a table of others":            foreignTable,
		"main, on the link":            "dev eth1 protocol 186",
		"a table of ours, beside ours": "dev eth1 table 8202 protocol 186",
	} {
		t.Run(what, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
			s := b.Start()
			before := box.Resident(t, s.Cmd.Process.Pid)
			repaired, ended := make(chan struct{}), make(chan []int, 1)
			go func() { ended <- stormUntil(t, b, where, repaired) }()
			var took box.Durations
			for range maxHarmsPerObject {
				b.Shell("ip rule del priority 2003 lookup 8202")
				took = append(took, b.AwaitRule(t, box.EventualTimeout))
				b.Shell("ip -6 route del default table 8202 dev eth1")
				took = append(took, box.Eventually(t, box.EventualTimeout, "the route is back", func() bool {
					return strings.Contains(b.Gateway.Run("ip", "-6", "route", "show", "table", "8202"), "default via fe80::1")
				}))
			}
			close(repaired)
			rate, after := <-ended, box.Resident(t, s.Cmd.Process.Pid)
			t.Logf("%v changes a second; repairs: %s; memory %d KiB before, %d KiB after", rate, took, before, after)
			if after > before+stormGrowth {
				t.Errorf("memory grew from %d to %d KiB", before, after)
			}
			b.AwaitInSync()
		})
	}
}

// A router with the Internet's routes in main has a million of them. The service names hardly one.
func TestAFullRoutingTableStaysOutOfMemory(t *testing.T) {
	t.Parallel()
	const routes, most = 100_000, 40 << 10 // KiB
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
	var batch strings.Builder
	for i := range routes {
		fmt.Fprintf(&batch, "route add 198.18.%d.%d/32 via 192.0.2.1 dev eth1 protocol 186 metric %d\n", i/250%250, i%250, 1+i/62500)
	}
	cmd := b.Gateway.Command(t.Context(), "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("add routes: %v: %s", err, out)
	}
	s := b.Start()
	b.Shell("ip rule del priority 2003 lookup 8202")
	b.AwaitRule(t, box.EventualTimeout)
	if peak := box.Memory(t, s.Cmd.Process.Pid, "VmHWM:"); peak > most {
		t.Errorf("beside %d routes it took %d KiB, want %d at most", routes, peak, most)
	}
	b.AwaitInSync()
}

func TestLostNetlinkEventsAreRecovered(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
	s := b.Start()
	s.Signal(syscall.SIGSTOP)
	speed := storm(t, b, foreignTable)
	b.Shell("ip rule del priority 2003 lookup 8202")
	s.Signal(syscall.SIGCONT)
	t.Logf("%d changes a second while it slept; repaired %s after it woke", speed, b.AwaitRule(t, box.EventualTimeout))
	// The kernel reports lost events once, and may have dropped more since.
	b.Shell("ip rule del priority 2003 lookup 8202")
	b.AwaitRule(t, box.EventualTimeout)
}
