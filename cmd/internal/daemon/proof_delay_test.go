package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// proveRarely leaves only proofs that something has requested.
func (c *schedulerTest) proveRarely() {
	c.configure(health.Settings{Uplinks: []health.UplinkSettings{{Name: "fibre", Quorum: 1}}, Proof: health.ProofSettings{Interval: time.Hour}})
}

// proofs returns how many proofs have begun.
func (c *schedulerTest) proofs() int {
	synctest.Wait()
	return int(c.begun.Load())
}

// A change of another program that the kernel announces is proven within four seconds, whatever else was proven or requested shortly before,
// also where a proof takes as long as that of 31 uplinks on a busy machine. Only while such changes go on all the time do the pauses grow.
func TestAnnouncedChangesAreProvenSoon(t *testing.T) {
	for name, before := range map[string]func(*schedulerTest){
		"nothing":            func(*schedulerTest) {},
		"a change of a path": func(c *schedulerTest) { c.invalidate(uplinks.ChangedScope{}); c.schedule() },
		"two changes of a path": func(c *schedulerTest) {
			c.invalidate(uplinks.ChangedScope{})
			c.schedule()
			time.Sleep(time.Second)
			c.invalidate(uplinks.ChangedScope{})
			c.schedule()
		},
		"another change":             func(c *schedulerTest) { c.requestDelayed() },
		"a change of rules":          func(c *schedulerTest) { c.rulesChanged() },
		"one that is just proven":    func(c *schedulerTest) { c.requestDelayed(); time.Sleep(gatherDelay + time.Millisecond) },
		"one that was just proven":   func(c *schedulerTest) { c.requestDelayed(); time.Sleep(gatherDelay + c.takes + time.Millisecond) },
		"several, one after another": func(c *schedulerTest) { c.requestDelayed(); c.schedule(); time.Sleep(time.Second); c.rulesChanged() },
		"the lines of a shell script": func(c *schedulerTest) {
			for range 8 {
				c.rulesChanged()
				time.Sleep(100 * time.Millisecond)
			}
		},
		"a path that has become wrong": func(c *schedulerTest) {
			synctest.Wait()
			c.result = health.No
			c.requestDelayed()
			time.Sleep(gatherDelay + time.Millisecond)
		},
	} {
		for _, change := range []func(*schedulerTest){
			func(c *schedulerTest) { c.rulesChanged() },
			func(c *schedulerTest) { c.invalidate(uplinks.ChangedScope{}); c.schedule() }, // a chain of nftables
		} {
			synctest.Test(t, func(t *testing.T) {
				c := schedulerTest{takes: 400 * time.Millisecond, costs: 100 * time.Millisecond}
				c.run(t, func() {
					c.proveRarely()
					c.schedule()
					time.Sleep(40 * time.Second)
					before(&c)
					planted, known := time.Since(c.began), c.proofs()
					change(&c)
					time.Sleep(4 * time.Second)
					if c.proofs() == known {
						t.Errorf("after %s: changed after %s, proven at %v", name, planted, c.proofTimes)
					}
				})
			})
		}
	}
}

// Proofs that take much CPU time are further apart: they use a twentieth of a core at most, as long as the pause is not the longest one.
func TestExpensiveProofsAreFurtherApart(t *testing.T) {
	for costs, want := range map[time.Duration]time.Duration{0: minProofPause, 200 * time.Millisecond: 4 * time.Second, time.Second: maxProofPause} {
		synctest.Test(t, func(t *testing.T) {
			c := schedulerTest{costs: costs}
			c.run(t, func() {
				c.proveRarely()
				for range 1000 {
					c.invalidate(uplinks.ChangedScope{})
					c.schedule()
					time.Sleep(10 * time.Millisecond)
				}
			})
			if pause := c.proofTimes[1] - c.proofTimes[0]; pause < want || pause > want+20*time.Millisecond {
				t.Errorf("%s: proven at %v, want %s apart", costs, c.proofTimes, want)
			}
		})
	}
}

// Without changes all paths are proven at the configured interval. Where that takes more than a hundredth of a core, as with hundreds of
// uplinks, the default is longer, but never more than twice as long.
func TestExpensiveProofsOfAllPathsAreFurtherApart(t *testing.T) {
	usual := health.DefaultProofSettings.Interval
	for _, v := range []struct{ interval, costs, want time.Duration }{
		{usual, 0, usual}, {usual, 300 * time.Millisecond, usual}, {usual, 450 * time.Millisecond, 45 * time.Second}, {usual, time.Minute, 2 * usual},
		{20 * time.Second, 450 * time.Millisecond, 20 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := schedulerTest{costs: v.costs}
			c.run(t, func() {
				s, _ := c.current()
				s.Proof.Interval = v.interval
				c.configure(s)
				c.schedule()
				time.Sleep(2*v.want + time.Second)
			})
			if !slices.Equal(c.proofTimes, []time.Duration{0, v.want, 2 * v.want}) {
				t.Errorf("%+v: proven at %v", v, c.proofTimes)
			}
		})
	}
}

// A rule of the legacy firewall, which the kernel does not announce, is proven within eight seconds, also where reading all rules takes long.
func TestPolledChangesAreProvenWithinEightSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, host := schedulerTest{takes: 400 * time.Millisecond}, &pollTest{takes: 300 * time.Millisecond, cost: 100 * time.Millisecond}
		c.run(t, func() {
			c.proveRarely()
			c.schedule()
			host.rules.Store(7)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- (&fingerprintPoller{host: host, queue: c.queue, rules: c.proofScheduler, log: discardLog}).Run(ctx)
			}()
			defer func() { stop(); <-ended }()
			for n := range uint64(25) {
				time.Sleep(40*time.Second + time.Duration(n)*300*time.Millisecond)
				if n%2 == 1 { // shortly after another change
					c.requestDelayed()
					time.Sleep(time.Second)
				}
				planted, known := time.Since(c.began), c.proofs()
				host.rules.Store(8 + n)
				time.Sleep(8 * time.Second)
				if c.proofs() == known {
					t.Errorf("changed after %s, proven at %v", planted, c.proofTimes)
				}
			}
		})
	})
}
