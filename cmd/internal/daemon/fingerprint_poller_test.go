package daemon

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pollTest is the Fingerprinter and the ruleObserver of a poller.
type pollTest struct {
	takes time.Duration // of reading the rules
	cost  time.Duration // the CPU time of that
	rules atomic.Uint64

	mu      sync.Mutex
	reads   int
	changed []time.Time
}

func (*pollTest) Fingerprint() (uint64, error)     { return 1, nil }
func (*pollTest) PollFingerprint() (uint64, error) { return 1, nil }

func (p *pollTest) ForeignLegacyRules() (uint64, time.Duration, error) {
	p.mu.Lock()
	p.reads++
	p.mu.Unlock()
	time.Sleep(p.takes)
	return p.rules.Load(), p.cost, nil
}

func (p *pollTest) rulesChanged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = append(p.changed, time.Now())
}

// seen returns how often the rules were read, and when a change of them was noticed.
func (p *pollTest) seen() (reads int, changed []time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads, slices.Clone(p.changed)
}

// The kernel announces no change of legacy tables: they are polled, and large ones less often. On a machine that is busy with something else
// they are read as often as on one that is not.
func TestForeignLegacyRulesArePolled(t *testing.T) {
	for _, c := range []struct {
		takes, cost time.Duration
		reads       int
	}{{0, 0, 30}, {10 * time.Millisecond, 10 * time.Millisecond, 12}, {time.Second, time.Second, 7}, {100 * time.Millisecond, time.Millisecond, 27}} {
		takes, reads := c.takes, c.reads
		synctest.Test(t, func(t *testing.T) {
			host := &pollTest{takes: takes, cost: c.cost}
			host.rules.Store(7)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- (&fingerprintPoller{host: host, queue: newRoundQueue(), rules: host, log: discardLog}).Run(ctx)
			}()
			time.Sleep(time.Minute)
			if n, _ := host.seen(); n < reads-2 || n > reads+2 {
				t.Errorf("read %d times in a minute, want about %d", n, reads)
			}
			host.rules.Store(8)
			planted := time.Now()
			time.Sleep(20 * time.Second)
			if _, changed := host.seen(); len(changed) != 1 || changed[0].Sub(planted) > maxRulesInterval+2*takes+fingerprintInterval {
				t.Errorf("planted at %s, noticed at %s", planted, changed)
			}
			stop()
			<-ended
		})
	}
}
