package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// pollTest is the Fingerprinter and the ruleObserver of a poller.
type pollTest struct {
	rules   uint64
	takes   time.Duration // of reading the rules
	reads   int
	changed []time.Time
}

func (*pollTest) Fingerprint() (uint64, error) { return 1, nil }

func (p *pollTest) ForeignLegacyRules() (uint64, error) {
	p.reads++
	time.Sleep(p.takes)
	return p.rules, nil
}

func (p *pollTest) rulesChanged() { p.changed = append(p.changed, time.Now()) }

// The kernel announces no change of legacy tables: they are polled, and large ones less often.
func TestForeignLegacyRulesArePolled(t *testing.T) {
	for takes, reads := range map[time.Duration]int{0: 30, 10 * time.Millisecond: 12, time.Second: 7} {
		synctest.Test(t, func(t *testing.T) {
			host := &pollTest{rules: 7, takes: takes}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- (&fingerprintPoller{host: host, queue: newRoundQueue(), rules: host, log: discardLog}).Run(ctx)
			}()
			time.Sleep(time.Minute)
			if host.reads < reads-2 || host.reads > reads+2 {
				t.Errorf("read %d times in a minute, want about %d", host.reads, reads)
			}
			host.rules = 8
			planted := time.Now()
			time.Sleep(20 * time.Second)
			if len(host.changed) != 1 || host.changed[0].Sub(planted) > maxRulesInterval+2*takes+fingerprintInterval {
				t.Errorf("planted at %s, noticed at %s", planted, host.changed)
			}
			stop()
			<-ended
		})
	}
}
