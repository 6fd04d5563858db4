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
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		for range 1000 {
			r.configure()
			time.Sleep(10 * time.Millisecond)
		}
		if asked := r.network.count("fibre"); asked < 10 || asked > 11 {
			t.Errorf("asked %d times in ten seconds", asked)
		}
	})
}

func TestChangedPathKeepsItsStateUntilItsProbesDecide(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10*time.Second + 500*time.Millisecond)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(1800 * time.Millisecond) // three questions are lost or open
		r.paths[0].Mark, r.paths[0].Table = 0x300, 8203
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		before := r.network.count("fibre")
		r.configure()
		r.advance(time.Millisecond)
		if last := r.network.sent[len(r.network.sent)-1]; r.network.count("fibre") != before+1 || last.mark != 0x300 {
			t.Errorf("the change was not asked about at once: %+v", last)
		}
		r.advance(time.Minute)
		if got := r.status("fibre"); got.State != health.Up || got.StateChanges != 0 || len(got.History) < 2 || got.Probes[0].Sent < 70 {
			t.Errorf("%+v", got)
		}
		r.paths[0].Gateway = r.paths[0].Gateway.Prev()
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.configure()
		r.expectStates("not judged yet", health.Up)
		r.advance(2 * time.Second)
		r.expectStates("judged", health.Down)
	})
}

func TestReloadKeepsUnchangedProbes(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.newEvents()
		r.settings = health.Settings{Uplinks: []health.UplinkSettings{
			{Name: "dsl", Probes: []health.Probe{icmpProbe(targetHost)}, Quorum: 1},
			{Name: "fibre", Probes: []health.Probe{icmpProbe(otherHost), icmpProbe(targetHost)}, Quorum: 1},
		}}
		r.paths = append(r.paths, testPath("dsl", 2, uplinks.IPv4))
		r.configure()
		r.advance(time.Millisecond)
		r.expectStates("a new one has not been answered", health.Down, health.Up)
		if p := r.status("fibre").Probes; len(p) != 2 || p[0].Sent != 0 || p[1].Sent < 10 {
			t.Errorf("%+v", p)
		}
		asked := r.network.count("lte")
		r.advance(10 * time.Second)
		if r.network.count("lte") != asked {
			t.Error("an uplink that is gone is asked")
		}
		if news := r.newEvents(); !slices.Equal(news, []string{"state dsl →up"}) {
			t.Errorf("told %q", news)
		}
		r.paths = r.paths[:0]
		r.configure()
		if all := r.monitor.Status(); len(all) != 2 || all[0].State != health.Absent || all[0].Families == nil {
			t.Errorf("without paths: %+v", all)
		}
	})
}

func TestRemovedPathLeavesNoGoroutine(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.paths = nil
		r.configure()
		synctest.Wait()
		const paths, others = 20, 5 // the runtime and other tests have goroutines that come and go
		before := runtime.NumGoroutine()
		for i := range paths {
			r.paths = []health.Path{testPath("fibre", i, uplinks.IPv4), testPath("lte", i+1, uplinks.IPv6)}
			r.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = i%2 == 0 })
			r.configure()
			r.advance(1500 * time.Millisecond)
			r.paths = nil
			r.configure()
			synctest.Wait()
		}
		if now := runtime.NumGoroutine(); now > before+others {
			t.Errorf("%d goroutines, %d before", now, before)
		}
		if len(r.monitor.engine.targets) != 0 || len(r.monitor.engine.paths) != 0 {
			t.Errorf("remembers %d targets and %d paths", len(r.monitor.engine.targets), len(r.monitor.engine.paths))
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
		if asked := n.count(""); asked < 30 || asked > 33 {
			t.Errorf("asked %d times in half a minute", asked)
		}
	})
}

func TestMemoryIsBoundedWhenAllTargetsAreDead(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost), icmpProbe(otherHost)}, func(r *harness) {
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"], n.blackholed["lte"] = true, true })
		r.advance(3 * time.Hour)
		r.network.set(func(n *fakeNetwork) { n.sent = nil })
		for _, w := range r.monitor.engine.paths {
			if len(w.probes) != 2 || len(w.history.lastHour(time.Now())) != historyMinutes {
				t.Errorf("%d probes, %d minutes", len(w.probes), len(w.history.lastHour(time.Now())))
			}
			for _, i := range w.probes {
				if len(i.detector.inFlight) > 3 || cap(i.detector.inFlight) > 16 {
					t.Errorf("%d questions are open, there is room for %d", len(i.detector.inFlight), cap(i.detector.inFlight))
				}
			}
		}
		if len(r.monitor.events.queued) != 0 || r.network.maxInFlight > 24 {
			t.Errorf("%d events wait, %d questions were open at once", len(r.monitor.events.queued), r.network.maxInFlight)
		}
		history := r.status("fibre").History
		for i, s := range history[:historyMinutes-1] {
			if s.Sent != 120 || s.Lost != 120 || s.MeanRTTSeconds != 0 || i > 0 && s.At.Sub(history[i-1].At) != time.Minute {
				t.Errorf("minute %d: %+v", i, s)
			}
		}
	})
}

func TestProberThatIgnoresItsTimeoutIsBounded(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		hung := &hangingProber{}
		r.monitor.probers[health.ICMP] = hung
		r.settings.Uplinks = []health.UplinkSettings{{Name: "fibre", Probes: []health.Probe{icmpProbe(otherHost)}, Quorum: 1}}
		r.configure()
		r.advance(time.Hour)
		if got := r.status("fibre"); got.State != health.Down || hung.maxInFlight > 16 {
			t.Errorf("%s, %d hung at once", got.State, hung.maxInFlight)
		}
	})
}

// hangingProber is an asker that waits for the end of its context alone, and then some.
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
	withMonitor(t, names, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.sent = nil })
		r.advance(time.Second)
		moments := map[time.Time]bool{}
		for _, a := range r.network.sent {
			moments[a.at] = true
		}
		if len(moments) != len(names) {
			t.Errorf("%d questions left in %d moments", len(r.network.sent), len(moments))
		}
	})
}

func TestProbeOfAnUnknownKindIsLost(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{health.NewProbe("x", health.Target{Kind: "carrier-pigeon", Host: targetHost})}, func(r *harness) {
		r.advance(10 * time.Second)
		if got := r.status("fibre"); got.State != health.Down || got.Probes[0].Error != `probes of the kind "carrier-pigeon" are not supported` {
			t.Errorf("%+v", got)
		}
	})
}

func TestManyUplinksInBothFamilies(t *testing.T) {
	const many = 255
	var names []string
	for i := range many {
		names = append(names, fmt.Sprint("u", i))
	}
	all := []health.Probe{health.NewProbe("one", health.Target{Kind: health.TCP, Host: "example.com", Port: 443}), health.NewProbe("two", health.Target{Kind: health.HTTP, URL: "http://example.org/"})}
	withMonitor(t, names, all, func(r *harness) {
		for i, name := range names {
			r.paths = append(r.paths, testPath(name, i, uplinks.IPv6))
		}
		r.configure()
		r.advance(10 * time.Second)
		if asked := r.network.count(""); asked < many*4*10 || asked > many*4*11 {
			t.Errorf("asked %d times", asked)
		}
		r.network.set(func(n *fakeNetwork) {
			for _, name := range names[1:] {
				n.blackholed[name] = true
			}
		})
		r.advance(10 * time.Second)
		for i, u := range r.monitor.Status() {
			if want := map[bool]health.State{true: health.Up, false: health.Down}[i == 0]; u.State != want || u.Name != names[i] || len(u.Families) != 2 {
				t.Errorf("%s is %s", u.Name, u.State)
			}
		}
	})
}

func TestStatusIsACopy(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		mine := r.monitor.Status()
		mine[0].Families[0].Probes[0].Name = "changed"
		mine[0].Families[0].History[0].Sent = 99
		got := r.monitor.Status()
		if got[0].Families[0].Probes[0].Name != targetHost || got[0].Families[0].History[0].Sent == 99 {
			t.Error("a snapshot is the monitor's own")
		}
		if got[0].ID != 1 || got[0].Interface != "eth0" || got[0].Families[0].Source != "198.51.100.1" || got[0].Families[0].Gateway != "198.51.100.254" {
			t.Errorf("%+v", got[0])
		}
	})
}

func TestMonitorIsSafeForConcurrentUse(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for n := range 200 {
					r.monitor.UpdateLink("eth0", true, n%2 == i%2)
					r.configure()
					r.monitor.UpdateProof(r.paths[0].Key, health.Proof{Replies: health.ReplyCounts{Stray: uint64(n)}})
					r.monitor.Status()
					time.Sleep(7 * time.Millisecond)
				}
			})
		}
		all.Wait()
		r.configure()
		r.advance(10 * time.Minute)
		r.expectStates("when all is quiet again", health.Up, health.Up)
		if _, told := r.answered.Load(r.paths[1].Key); !told {
			t.Error("nobody was told of an answer")
		}
	})
}
