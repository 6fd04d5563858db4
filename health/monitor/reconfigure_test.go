package monitor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

func TestConfigureWithoutChangeHasNoEffect(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		for range 1000 {
			h.configure()
			time.Sleep(10 * time.Millisecond)
		}
		if sent := h.network.count("fibre"); sent < 10 || sent > 11 {
			t.Errorf("%d probes sent in ten seconds", sent)
		}
	})
}

func TestChangedPathKeepsItsStateUntilItsProbesDecide(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10*time.Second + 500*time.Millisecond)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(1800 * time.Millisecond) // three probes are lost or in flight
		h.paths[0].Mark, h.paths[0].Table = 0x300, 8203
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		before := h.network.count("fibre")
		h.configure()
		h.advance(time.Millisecond)
		if last := h.network.sent[len(h.network.sent)-1]; h.network.count("fibre") != before+1 || last.mark != 0x300 {
			t.Errorf("the changed path was not probed at once: %+v", last)
		}
		h.advance(time.Minute)
		if got := h.status("fibre"); got.State != health.Up || got.StateChanges != 0 || len(got.History) < 2 || got.Probes[0].Sent < 70 {
			t.Errorf("%+v", got)
		}
		h.paths[0].Gateway = h.paths[0].Gateway.Prev()
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.configure()
		h.expectStates("undecided", health.Up)
		h.advance(2 * time.Second)
		h.expectStates("decided", health.Down)
	})
}

func TestReloadKeepsUnchangedProbes(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.newEvents()
		h.settings = health.Settings{Uplinks: []health.UplinkSettings{
			{Name: "dsl", Probes: []health.Probe{icmpProbe(targetHost)}, Quorum: 1},
			{Name: "fibre", Probes: []health.Probe{icmpProbe(otherHost), icmpProbe(targetHost)}, Quorum: 1},
		}}
		h.paths = append(h.paths, testPath("dsl", 2, uplinks.IPv4))
		h.configure()
		h.advance(time.Millisecond)
		h.expectStates("the new uplink is undecided", health.Down, health.Up)
		if p := h.status("fibre").Probes; len(p) != 2 || p[0].Sent != 0 || p[1].Sent < 10 {
			t.Errorf("%+v", p)
		}
		sent := h.network.count("lte")
		h.advance(10 * time.Second)
		if h.network.count("lte") != sent {
			t.Error("a removed uplink is probed")
		}
		if events := h.newEvents(); !slices.Equal(events, []string{"state dsl →up"}) {
			t.Errorf("emitted %q", events)
		}
		h.paths = h.paths[:0]
		h.configure()
		if all := h.monitor.Status(); len(all) != 2 || all[0].State != health.Absent || all[0].Families == nil {
			t.Errorf("without paths: %+v", all)
		}
	})
}

func TestRemovedPathLeavesNoGoroutine(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.paths = nil
		h.configure()
		synctest.Wait()
		const paths, others = 20, 5 // the runtime and other tests have goroutines that come and go
		before := runtime.NumGoroutine()
		for i := range paths {
			h.paths = []health.Path{testPath("fibre", i, uplinks.IPv4), testPath("lte", i+1, uplinks.IPv6)}
			h.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = i%2 == 0 })
			h.configure()
			h.advance(1500 * time.Millisecond)
			h.paths = nil
			h.configure()
			synctest.Wait()
		}
		if now := runtime.NumGoroutine(); now > before+others {
			t.Errorf("%d goroutines, %d before", now, before)
		}
		if len(h.monitor.engine.targets) != 0 || len(h.monitor.engine.paths) != 0 {
			t.Errorf("%d targets and %d paths are left", len(h.monitor.engine.targets), len(h.monitor.engine.paths))
		}
	})
}

func TestRunCanBeCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNetwork()
		m := New(map[health.ProbeKind]health.Prober{health.ICMP: n})
		m.Configure(health.Settings{Uplinks: []health.UplinkSettings{{Name: "fibre", Probes: []health.Probe{icmpProbe(targetHost)}, Quorum: 1}}}, []health.Path{testPath("fibre", 0, uplinks.IPv4)})
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+10*time.Millisecond)
			if err := m.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
			if got := m.Status()[0]; got.State != health.Up || got.Families[0].StateChanges != 0 {
				t.Errorf("%+v", got)
			}
		}
		if sent := n.count(""); sent < 30 || sent > 33 {
			t.Errorf("%d probes sent in half a minute", sent)
		}
	})
}

func TestMemoryIsBoundedWhenAllTargetsAreDead(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost), icmpProbe(otherHost)}, func(h *harness) {
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"], n.blackholed["lte"] = true, true })
		h.advance(3 * time.Hour)
		h.network.set(func(n *fakeNetwork) { n.sent = nil })
		for _, p := range h.monitor.engine.paths {
			if len(p.probes) != 2 || len(p.history.lastHour(time.Now())) != historyMinutes {
				t.Errorf("%d probes, %d minutes", len(p.probes), len(p.history.lastHour(time.Now())))
			}
			for _, i := range p.probes {
				if len(i.detector.inFlight) > 3 || cap(i.detector.inFlight) > 16 {
					t.Errorf("%d probes are in flight, with a capacity of %d", len(i.detector.inFlight), cap(i.detector.inFlight))
				}
			}
		}
		if len(h.monitor.events.queued) != 0 || h.network.maxInFlight > 24 {
			t.Errorf("%d events are queued, %d probes were in flight at once", len(h.monitor.events.queued), h.network.maxInFlight)
		}
		history := h.status("fibre").History
		for i, s := range history[:historyMinutes-1] {
			if s.Sent != 120 || s.Lost != 120 || s.MeanRTTSeconds != 0 || i > 0 && s.At.Sub(history[i-1].At) != time.Minute {
				t.Errorf("minute %d: %+v", i, s)
			}
		}
	})
}

func TestProberThatIgnoresItsTimeoutIsBounded(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		probe := health.NewProbe(otherHost, health.Target{Kind: hungKind, Host: otherHost})
		h.settings.Uplinks = []health.UplinkSettings{{Name: "fibre", Probes: []health.Probe{probe}, Quorum: 1}}
		h.configure()
		h.advance(time.Hour)
		if got := h.status("fibre"); got.State != health.Down || h.hung.maxInFlight > 16 {
			t.Errorf("%s, %d probes were in flight at once", got.State, h.hung.maxInFlight)
		}
	})
}

// hangingProber returns a minute after the end of its context.
type hangingProber struct {
	mu                    sync.Mutex
	inFlight, maxInFlight int
}

func (h *hangingProber) Probe(ctx context.Context, _ health.Path, _ health.Probe) health.Outcome {
	h.mu.Lock()
	h.inFlight++
	h.maxInFlight = max(h.maxInFlight, h.inFlight)
	h.mu.Unlock()
	<-ctx.Done()
	time.Sleep(time.Minute)
	h.mu.Lock()
	h.inFlight--
	h.mu.Unlock()
	return health.Outcome{Sent: time.Now(), Err: ctx.Err()}
}

func TestProbesOfManyUplinksAreStaggered(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	withMonitor(t, names, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.sent = nil })
		h.advance(time.Second)
		times := map[time.Time]bool{}
		for _, a := range h.network.sent {
			times[a.at] = true
		}
		if len(times) != len(names) {
			t.Errorf("%d probes were sent at %d times", len(h.network.sent), len(times))
		}
	})
}

func TestProbeOfAnUnknownKindIsLost(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{health.NewProbe("x", health.Target{Kind: "carrier-pigeon", Host: targetHost})}, func(h *harness) {
		h.advance(10 * time.Second)
		if got := h.status("fibre"); got.State != health.Down || got.Probes[0].Error != `probes of the kind "carrier-pigeon" are not supported` {
			t.Errorf("%+v", got)
		}
	})
}

func TestManyUplinksAreIndependentInBothFamilies(t *testing.T) {
	const many = 255
	var names []string
	for i := range many {
		names = append(names, fmt.Sprint("u", i))
	}
	all := []health.Probe{health.NewProbe("one", health.Target{Kind: health.TCP, Host: "example.com", Port: 443}), health.NewProbe("two", health.Target{Kind: health.HTTP, URL: "http://example.org/"})}
	withMonitor(t, names, all, func(h *harness) {
		for i, name := range names {
			h.paths = append(h.paths, testPath(name, i, uplinks.IPv6))
		}
		h.configure()
		h.advance(10 * time.Second)
		if sent := h.network.count(""); sent < many*4*10 || sent > many*4*11 {
			t.Errorf("%d probes sent", sent)
		}
		h.network.set(func(n *fakeNetwork) {
			for _, name := range names[1:] {
				n.blackholed[name] = true
			}
		})
		h.advance(10 * time.Second)
		for i, u := range h.monitor.Status() {
			if want := map[bool]health.State{true: health.Up, false: health.Down}[i == 0]; u.State != want || u.Name != names[i] || len(u.Families) != 2 {
				t.Errorf("%s is %s", u.Name, u.State)
			}
		}
	})
}

func TestStatusIsACopy(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		mine := h.monitor.Status()
		mine[0].Families[0].Probes[0].Name = "changed"
		mine[0].Families[0].History[0].Sent = 99
		got := h.monitor.Status()
		if got[0].Families[0].Probes[0].Name != targetHost || got[0].Families[0].History[0].Sent == 99 {
			t.Error("the status shares memory with the monitor")
		}
		if got[0].ID != 1 || got[0].Interface != "eth0" || got[0].Families[0].Source != "198.51.100.1" || got[0].Families[0].Gateway != "198.51.100.254" {
			t.Errorf("%+v", got[0])
		}
	})
}

func TestMonitorIsSafeForConcurrentUse(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for n := range 200 {
					h.monitor.UpdateLink("eth0", true, n%2 == i%2)
					h.configure()
					h.monitor.UpdateProof(h.paths[0].Key, health.Proof{Replies: health.ReplyCounts{Stray: uint64(n)}})
					h.monitor.Status()
					time.Sleep(7 * time.Millisecond)
				}
			})
		}
		all.Wait()
		h.configure()
		h.advance(10 * time.Minute)
		h.expectStates("after the last event", health.Up, health.Up)
		if _, ok := h.answered.Load(h.paths[1].Key); !ok {
			t.Error("OnOutcome was not called")
		}
	})
}
