package daemon

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/health/monitor"
	"replypath/health/proof"
	"replypath/uplinks"
)

// schedulerTest is a scheduler of one path. It is its Prover and its ReplyCounter.
type schedulerTest struct {
	*proofScheduler
	began      time.Time
	proofTimes []time.Duration
	result     health.Result
	cause      health.Cause
	stray      atomic.Uint64
	begun      atomic.Int32  // proofs
	takes      time.Duration // of a proof
	used       time.Duration // CPU time
	costs      time.Duration // of a proof, in CPU time
}

var schedulerKey = health.Key{Uplink: "fibre", Family: uplinks.IPv4}

func (c *schedulerTest) Prove(context.Context, health.Settings, []health.Path) ([]proof.PathResult, error) {
	c.proofTimes = append(c.proofTimes, time.Since(c.began))
	c.begun.Add(1)
	time.Sleep(c.takes)
	c.used += c.costs
	return []proof.PathResult{{Path: health.Path{Key: schedulerKey}, Routes: health.ProofCheck{Result: c.result, Cause: c.cause}}}, nil
}

func (c *schedulerTest) ProveSubset(ctx context.Context, s health.Settings, _ uplinks.Facts, paths, _ []health.Path) ([]proof.PathResult, error) {
	return c.Prove(ctx, s, paths)
}

func (c *schedulerTest) ReplyCounts(context.Context, []health.Path) (map[health.Key]health.ReplyCounts, error) {
	return map[health.Key]health.ReplyCounts{schedulerKey: {Symmetric: 7, Stray: c.stray.Load()}}, nil
}

func (c *schedulerTest) NewStrays([]health.Path, time.Duration) (map[health.Key]uint64, error) {
	return nil, nil
}

func (*schedulerTest) InvalidateRules()  {}
func (*schedulerTest) InvalidateRoutes() {}

func (c *schedulerTest) StrayExamples(context.Context, health.Path) (string, error) {
	return "tcp 203.0.113.10:50000 192.0.2.2:7000 by eth0", nil
}

// run runs the scheduler while drive changes paths.
func (c *schedulerTest) run(t *testing.T, drive func()) {
	t.Helper()
	c.proofScheduler = newProofScheduler(monitor.New(nil), c, c, newRoundQueue(), discardLog)
	c.began, c.result = time.Now(), health.Yes
	c.cpuTime = func() time.Duration { return c.used }
	c.paths = []health.Path{{Key: schedulerKey}}
	c.configure(health.Settings{Uplinks: []health.UplinkSettings{{Name: "fibre", Quorum: 1}}, Proof: health.ProofSettings{Interval: 30 * time.Second}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	drive()
	stop()
	<-ended
}

func TestChangesAreProvenAndAllPathsAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			c.schedule()
			time.Sleep(time.Minute + time.Second)
		})
		if len(c.proofTimes) != 3 || c.proofTimes[0] != 0 || c.proofTimes[1] != 30*time.Second || c.proofTimes[2] != time.Minute {
			t.Errorf("proven at %v", c.proofTimes)
		}
		if got := c.monitor.Status()[0].Families[0].Proof; got.Replies.Symmetric != 7 || got.Routes.Result != health.Yes {
			t.Errorf("the monitor has %+v", got)
		}
	})
}

func TestUnchangedPathsAreNotProvenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			for range 100 {
				c.schedule()
				time.Sleep(100 * time.Millisecond)
			}
		})
		if len(c.proofTimes) != 1 {
			t.Errorf("proven at %v", c.proofTimes)
		}
	})
}

func TestProofsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			for range 1000 {
				c.invalidate(uplinks.ChangedScope{})
				c.schedule()
				time.Sleep(10 * time.Millisecond)
			}
		})
		if len(c.proofTimes) < 4 || len(c.proofTimes) > 6 {
			t.Errorf("proven at %v", c.proofTimes)
		}
	})
}

func TestDelayedProofsAreCombined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			c.schedule()
			time.Sleep(20 * time.Second)
			for range 3000 { // all the time
				c.requestDelayed()
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(20 * time.Second)
		})
		want := []time.Duration{0, 20*time.Second + gatherDelay}
		for _, pause := range []time.Duration{1, 2, 4, 8, 16} { // the last request is 50 seconds after the beginning
			want = append(want, want[len(want)-1]+pause*time.Second)
		}
		if !slices.Equal(c.proofTimes, want) {
			t.Errorf("proven at %v, want %v", c.proofTimes, want)
		}
	})
}

func TestStrayReplyIsReportedAfterARecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			c.result = health.No
			c.schedule()
			synctest.Wait()
			if p := c.monitor.Status()[0].Families[0].Proof.Routes.Result; p == health.No || len(c.queue.reasons) != 1 {
				t.Errorf("%q after one proof, %d rounds requested", p, len(c.queue.reasons))
			}
			c.result = health.Yes // it is repaired
			c.schedule()
			synctest.Wait()
			if p := c.monitor.Status()[0].Families[0].Proof.Routes.Result; p != health.Yes {
				t.Errorf("%q after a repair", p)
			}
			c.result = health.No
			c.invalidate(uplinks.ChangedScope{})
			c.schedule()
			time.Sleep(minProofPause + recheckDelay + time.Second)
			if p := c.monitor.Status()[0].Families[0].Proof.Routes.Result; p != health.No {
				t.Errorf("%q after damage that is not repaired", p)
			}
		})
	})
}

// A path that stays broken for the same cause is proven once in each interval: nobody repairs it.
func TestPathThatStaysBrokenIsNotRechecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			c.result = health.No
			c.schedule()
			time.Sleep(time.Minute + 5*time.Second)
			synctest.Wait()
			if n := len(c.proofTimes); n != 4 { // with the recheck of the first
				t.Errorf("proven at %v", c.proofTimes)
			}
			c.cause = health.RouteMissing
			c.invalidate(uplinks.ChangedScope{})
			c.schedule()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if n := len(c.proofTimes); n != 6 { // with that of another cause
				t.Errorf("proven at %v", c.proofTimes)
			}
		})
	})
}

// Replies that stray while everything else is right make the verdict no, with connections of which it is seen, for a minute.
func TestStrayRepliesAreAPartOfTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.stray.Store(9)
		c.run(t, func() {
			verdict := func() health.ProofCheck { return c.monitor.Status()[0].Families[0].Verdict }
			time.Sleep(minProofPause + replyCountInterval)
			if v := verdict(); v.Result == health.No {
				t.Errorf("stray replies of an earlier run: %+v", v)
			}
			c.stray.Store(11)
			time.Sleep(replyCountInterval)
			v := verdict()
			if v.Result != health.No || v.Cause != health.StrayReplies || !strings.Contains(v.Detail, "2 replies") || !strings.Contains(v.Detail, "192.0.2.2:7000 by eth0") {
				t.Errorf("%+v", v)
			}
			time.Sleep(health.StrayWindow)
			if v := verdict(); v.Result == health.No {
				t.Errorf("a minute later: %+v", v)
			}
		})
	})
}
