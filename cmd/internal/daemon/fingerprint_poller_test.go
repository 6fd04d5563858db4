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
	rules atomic.Uint64

	mu      sync.Mutex
	reads   int
	changed []time.Time
}

func (*pollTest) Fingerprint() (uint64, error) { return 1, nil }

func (p *pollTest) ForeignLegacyRules() (uint64, error) {
	p.mu.Lock()
	p.reads++
	p.mu.Unlock()
	time.Sleep(p.takes)
	return p.rules.Load(), nil
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

// The kernel announces no change of legacy tables: they are polled, and large ones less often.
func TestForeignLegacyRulesArePolled(t *testing.T) {
	for takes, reads := range map[time.Duration]int{0: 30, 10 * time.Millisecond: 12, time.Second: 7} {
		synctest.Test(t, func(t *testing.T) {
			host := &pollTest{takes: takes}
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
