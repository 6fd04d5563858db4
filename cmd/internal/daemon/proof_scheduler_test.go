package daemon

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/health/monitor"
	"replypath/health/proof"
	"replypath/uplinks"
)

// schedulerTest is a care of one path, and when it was proven.
type schedulerTest struct {
	*proofScheduler
	began      time.Time
	proofTimes []time.Duration
	result     health.Result
	checks     int
}

func (c *schedulerTest) run(t *testing.T, drive func()) {
	t.Helper()
	key := health.Key{Uplink: "fibre", Family: uplinks.IPv4}
	c.proofScheduler = newProofScheduler(monitor.New(nil), slog.New(slog.DiscardHandler))
	c.began, c.result = time.Now(), health.Yes
	c.proveAll = func(context.Context, health.Settings, []health.Path) ([]proof.PathResult, error) {
		c.proofTimes = append(c.proofTimes, time.Since(c.began))
		return []proof.PathResult{{Path: health.Path{Key: key}, Routes: health.ProofCheck{Result: c.result}}}, nil
	}
	c.replyCounts = func(context.Context, []health.Path) (map[health.Key]health.ReplyCounts, error) {
		return map[health.Key]health.ReplyCounts{key: {Symmetric: 7}}, nil
	}
	c.requestCheck = func() { c.checks++ }
	c.paths = []health.Path{{Key: key}}
	c.configure(health.Settings{Uplinks: []health.UplinkSettings{{Name: "fibre", Quorum: 1}}, Proof: health.ProofSettings{Interval: 30 * time.Second}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.proofScheduler.run(ctx) }()
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
		if seen := c.monitor.Status()[0].Families[0].Proof; seen.Replies.Symmetric != 7 || seen.Routes.Result != health.Yes {
			t.Errorf("the monitor knows %+v", seen)
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

func TestStrayReplyIsReportedAfterARecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c schedulerTest
		c.run(t, func() {
			c.result = health.No
			c.schedule()
			synctest.Wait()
			if p := c.monitor.Status()[0].Families[0].Proof.Routes.Result; p == health.No || c.checks != 1 {
				t.Errorf("%q after one look, %d doubts", p, c.checks)
			}
			c.result = health.Yes // it is repaired
			c.schedule()
			synctest.Wait()
			if p := c.monitor.Status()[0].Families[0].Proof.Routes.Result; p != health.Yes {
				t.Errorf("%q after the repair", p)
			}
			c.result = health.No
			c.invalidate(uplinks.ChangedScope{})
			c.schedule()
			time.Sleep(minProofPause + recheckDelay + time.Second)
			if p := c.monitor.Status()[0].Families[0].Proof.Routes.Result; p != health.No {
				t.Errorf("%q after a damage that nobody repairs", p)
			}
		})
	})
}
