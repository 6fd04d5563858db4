package daemon

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
)

// cared is a care of one path, and when it was proven.
type cared struct {
	*care
	began  time.Time
	proven []time.Duration
	result health.Result
	doubts int
}

func (c *cared) run(t *testing.T, drive func()) {
	t.Helper()
	key := health.Key{Uplink: "fibre", Family: uplinks.IPv4}
	c.care = newCare(health.NewMonitor(nil), slog.New(slog.DiscardHandler))
	c.began, c.result = time.Now(), health.Yes
	c.prove = func(context.Context, health.Settings, []health.Path) ([]proof.Finding, error) {
		c.proven = append(c.proven, time.Since(c.began))
		return []proof.Finding{{Path: health.Path{Key: key}, Asked: health.Check{Result: c.result}}}, nil
	}
	c.replies = func(context.Context, []health.Path) (map[health.Key]health.Seen, error) {
		return map[health.Key]health.Seen{key: {Symmetric: 7}}, nil
	}
	c.doubt = func() { c.doubts++ }
	c.paths = []health.Path{{Key: key}}
	c.attend(health.Settings{Uplinks: []health.Uplink{{Name: "fibre", Quorum: 1}}, Proof: health.Proving{Every: 30 * time.Second}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.care.run(ctx) }()
	drive()
	stop()
	<-ended
}

func TestAChangeIsProvenAndSilenceToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cared
		c.run(t, func() {
			c.settled()
			time.Sleep(time.Minute + time.Second)
		})
		if len(c.proven) != 3 || c.proven[0] != 0 || c.proven[1] != 30*time.Second || c.proven[2] != time.Minute {
			t.Errorf("proven at %v", c.proven)
		}
		if seen := c.monitor.Uplinks()[0].Families[0].Proof; seen.Seen.Symmetric != 7 || seen.Asked.Result != health.Yes {
			t.Errorf("the monitor knows %+v", seen)
		}
	})
}

func TestWhatHasNotChangedIsNotProvenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cared
		c.run(t, func() {
			for range 100 {
				c.settled()
				time.Sleep(100 * time.Millisecond)
			}
		})
		if len(c.proven) != 1 {
			t.Errorf("proven at %v", c.proven)
		}
	})
}

func TestAStormOfChangesIsNotAStormOfProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cared
		c.run(t, func() {
			for range 1000 {
				c.changed(uplinks.Place{})
				c.settled()
				time.Sleep(10 * time.Millisecond)
			}
		})
		if len(c.proven) < 4 || len(c.proven) > 6 {
			t.Errorf("proven at %v", c.proven)
		}
	})
}

func TestAStrayIsJudgedAfterASecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cared
		c.run(t, func() {
			c.result = health.No
			c.settled()
			synctest.Wait()
			if p := c.monitor.Uplinks()[0].Families[0].Proof.Asked.Result; p == health.No || c.doubts != 1 {
				t.Errorf("%q after one look, %d doubts", p, c.doubts)
			}
			c.result = health.Yes // it is repaired
			c.settled()
			synctest.Wait()
			if p := c.monitor.Uplinks()[0].Families[0].Proof.Asked.Result; p != health.Yes {
				t.Errorf("%q after the repair", p)
			}
			c.result = health.No
			c.changed(uplinks.Place{})
			c.settled()
			time.Sleep(pause + recheck + time.Second)
			if p := c.monitor.Uplinks()[0].Families[0].Proof.Asked.Result; p != health.No {
				t.Errorf("%q after a damage that nobody repairs", p)
			}
		})
	})
}
