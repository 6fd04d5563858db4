package health

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

	"replypath/uplinks"
)

func TestWatchingTheSameAgainHasNoEffect(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		for range 1000 {
			r.watch()
			time.Sleep(10 * time.Millisecond)
		}
		if asked := r.net.count("fibre"); asked < 10 || asked > 11 {
			t.Errorf("asked %d times in ten seconds", asked)
		}
	})
}

func TestAPathThatChangesKeepsItsStateUntilItIsJudged(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10*time.Second + 500*time.Millisecond)
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.pass(1800 * time.Millisecond) // three questions are lost or open
		r.paths[0].Mark, r.paths[0].Table = 0x300, 8203
		r.net.set(func(n *internet) { n.holes["fibre"] = false })
		before := r.net.count("fibre")
		r.watch()
		r.pass(time.Millisecond)
		if last := r.net.asked[len(r.net.asked)-1]; r.net.count("fibre") != before+1 || last.mark != 0x300 {
			t.Errorf("the change was not asked about at once: %+v", last)
		}
		r.pass(time.Minute)
		if got := r.at("fibre"); got.State != Up || got.Changes != 0 || len(got.History) < 2 || got.Probes[0].Sent < 70 {
			t.Errorf("%+v", got)
		}
		r.paths[0].Gateway = r.paths[0].Gateway.Prev()
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.watch()
		r.expect("not judged yet", Up)
		r.pass(2 * time.Second)
		r.expect("judged", Down)
	})
}

func TestAReloadKeepsWhatIsAsItWas(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.news()
		r.settings = Settings{Uplinks: []Uplink{
			{Name: "dsl", Probes: []Probe{ping(pinged)}, Quorum: 1},
			{Name: "fibre", Probes: []Probe{ping(other), ping(pinged)}, Quorum: 1},
		}}
		r.paths = append(r.paths, pathOf("dsl", 2, uplinks.IPv4))
		r.watch()
		r.pass(time.Millisecond)
		r.expect("a new one has not been answered", Down, Up)
		if p := r.at("fibre").Probes; len(p) != 2 || p[0].Sent != 0 || p[1].Sent < 10 {
			t.Errorf("%+v", p)
		}
		asked := r.net.count("lte")
		r.pass(10 * time.Second)
		if r.net.count("lte") != asked {
			t.Error("an uplink that is gone is asked")
		}
		if news := r.news(); !slices.Equal(news, []string{"state dsl →up"}) {
			t.Errorf("told %q", news)
		}
		r.paths = r.paths[:0]
		r.watch()
		if all := r.monitor.Uplinks(); len(all) != 2 || all[0].State != Absent || all[0].Families == nil {
			t.Errorf("without paths: %+v", all)
		}
	})
}

func TestNoGoroutineIsLeftOfAPathThatGoes(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.paths = nil
		r.watch()
		synctest.Wait()
		const paths, others = 20, 5 // the runtime and other tests have goroutines that come and go
		before := runtime.NumGoroutine()
		for i := range paths {
			r.paths = []Path{pathOf("fibre", i, uplinks.IPv4), pathOf("lte", i+1, uplinks.IPv6)}
			r.net.set(func(n *internet) { n.holes["lte"] = i%2 == 0 })
			r.watch()
			r.pass(1500 * time.Millisecond)
			r.paths = nil
			r.watch()
			synctest.Wait()
		}
		if now := runtime.NumGoroutine(); now > before+others {
			t.Errorf("%d goroutines, %d before", now, before)
		}
		if len(r.monitor.commons) != 0 || len(r.monitor.watches) != 0 {
			t.Errorf("remembers %d targets and %d paths", len(r.monitor.commons), len(r.monitor.watches))
		}
	})
}

func TestRunCanBeginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet()
		m := NewMonitor(map[Kind]Asker{ICMP: n})
		m.Watch(Settings{Uplinks: []Uplink{{Name: "fibre", Probes: []Probe{ping(pinged)}, Quorum: 1}}}, []Path{pathOf("fibre", 0, uplinks.IPv4)})
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+10*time.Millisecond)
			if err := m.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
			if got := m.Uplinks()[0]; got.State != Up || got.Families[0].Changes != 0 {
				t.Errorf("%+v", got)
			}
		}
		if asked := n.count(""); asked < 30 || asked > 33 {
			t.Errorf("asked %d times in half a minute", asked)
		}
	})
}

func TestMemoryIsFlatWhenAllTargetsAreDead(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged), ping(other)}, func(r *rig) {
		r.net.set(func(n *internet) { n.holes["fibre"], n.holes["lte"] = true, true })
		r.pass(3 * time.Hour)
		r.net.set(func(n *internet) { n.asked = nil })
		for _, w := range r.monitor.watches {
			if len(w.inquiries) != 2 || len(w.history.last(time.Now())) != slots {
				t.Errorf("%d probes, %d minutes", len(w.inquiries), len(w.history.last(time.Now())))
			}
			for _, i := range w.inquiries {
				if len(i.judge.open) > 3 || cap(i.judge.open) > 16 {
					t.Errorf("%d questions are open, there is room for %d", len(i.judge.open), cap(i.judge.open))
				}
			}
		}
		if len(r.monitor.events) != 0 || r.net.most > 24 {
			t.Errorf("%d events wait, %d questions were open at once", len(r.monitor.events), r.net.most)
		}
		history := r.at("fibre").History
		for i, s := range history[:slots-1] {
			if s.Sent != 120 || s.Lost != 120 || s.Mean != 0 || i > 0 && s.At.Sub(history[i-1].At) != time.Minute {
				t.Errorf("minute %d: %+v", i, s)
			}
		}
	})
}

func TestAnAskerThatForgetsTheTimeIsBounded(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		hung := &hanging{}
		r.monitor.askers[ICMP] = hung
		r.settings.Uplinks = []Uplink{{Name: "fibre", Probes: []Probe{ping(other)}, Quorum: 1}}
		r.watch()
		r.pass(time.Hour)
		if got := r.at("fibre"); got.State != Down || hung.most > 16 {
			t.Errorf("%s, %d hung at once", got.State, hung.most)
		}
	})
}

// hanging is an asker that waits for the end of its context alone, and then some.
type hanging struct {
	mu         sync.Mutex
	open, most int
}

func (h *hanging) Ask(ctx context.Context, _ Path, _ Probe) Outcome {
	h.mu.Lock()
	h.open++
	h.most = max(h.most, h.open)
	h.mu.Unlock()
	<-ctx.Done()
	time.Sleep(time.Minute)
	h.mu.Lock()
	h.open--
	h.mu.Unlock()
	return Outcome{Sent: time.Now(), Err: ctx.Err()}
}

func TestQuestionsOfManyDoNotLeaveTogether(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	in(t, names, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.asked = nil })
		r.pass(time.Second)
		moments := map[time.Time]bool{}
		for _, a := range r.net.asked {
			moments[a.at] = true
		}
		if len(moments) != len(names) {
			t.Errorf("%d questions left in %d moments", len(r.net.asked), len(moments))
		}
	})
}

func TestNobodyToAskIsNoAnswer(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{NewProbe("x", Target{Kind: "carrier-pigeon", Host: pinged})}, func(r *rig) {
		r.pass(10 * time.Second)
		if got := r.at("fibre"); got.State != Down || got.Probes[0].Error != `nobody can ask targets of the kind "carrier-pigeon"` {
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
	all := []Probe{NewProbe("one", Target{Kind: TCP, Host: "example.com", Port: 443}), NewProbe("two", Target{Kind: HTTP, URL: "http://example.org/"})}
	in(t, names, all, func(r *rig) {
		for i, name := range names {
			r.paths = append(r.paths, pathOf(name, i, uplinks.IPv6))
		}
		r.watch()
		r.pass(10 * time.Second)
		if asked := r.net.count(""); asked < many*4*10 || asked > many*4*11 {
			t.Errorf("asked %d times", asked)
		}
		r.net.set(func(n *internet) {
			for _, name := range names[1:] {
				n.holes[name] = true
			}
		})
		r.pass(10 * time.Second)
		for i, u := range r.monitor.Uplinks() {
			if want := map[bool]State{true: Up, false: Down}[i == 0]; u.State != want || u.Name != names[i] || len(u.Families) != 2 {
				t.Errorf("%s is %s", u.Name, u.State)
			}
		}
	})
}

func TestASnapshotBelongsToTheCaller(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		mine := r.monitor.Uplinks()
		mine[0].Families[0].Probes[0].Name = "changed"
		mine[0].Families[0].History[0].Sent = 99
		got := r.monitor.Uplinks()
		if got[0].Families[0].Probes[0].Name != pinged || got[0].Families[0].History[0].Sent == 99 {
			t.Error("a snapshot is the monitor's own")
		}
		if got[0].ID != 1 || got[0].Interface != "eth0" || got[0].Families[0].Source != "198.51.100.1" || got[0].Families[0].Gateway != "198.51.100.254" {
			t.Errorf("%+v", got[0])
		}
	})
}

func TestEverybodyMayCallAtOnce(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for n := range 200 {
					r.monitor.Link("eth0", true, n%2 == i%2)
					r.watch()
					r.monitor.Prove(r.paths[0].Key, Proof{Seen: Seen{Stray: uint64(n)}})
					r.monitor.Uplinks()
					time.Sleep(7 * time.Millisecond)
				}
			})
		}
		all.Wait()
		r.watch()
		r.pass(10 * time.Minute)
		r.expect("when all is quiet again", Up, Up)
		if _, told := r.answered.Load(r.paths[1].Key); !told {
			t.Error("nobody was told of an answer")
		}
	})
}
