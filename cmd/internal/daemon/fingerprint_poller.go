package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// fingerprintInterval is the time between two polls. A change that the kernel does not announce is repaired after one, that of a sysctl
// after up to eight: where there are many, each poll reads a part.
const fingerprintInterval = 250 * time.Millisecond

// Other legacy tables may hold many rules: they are read less often, so that reading takes a small part of the time.
const (
	minRulesInterval    = 2 * time.Second // between two readings,
	rulesIntervalFactor = 500             // and at least so many times the CPU time of the last one,
	maxRulesInterval    = 6 * time.Second // up to this
)

// Fingerprinter returns hashes of what the kernel does not announce.
type Fingerprinter interface {
	// Fingerprint is of sysctls, and of the legacy firewall tables that replypath has rules in.
	Fingerprint() (uint64, error)
	// PollFingerprint returns the same hash, but may see a change of one of many sysctls only with the eighth call.
	PollFingerprint() (uint64, error)
	// ForeignLegacyRules is of the other legacy firewall tables. cost is the CPU time of reading them.
	ForeignLegacyRules() (hash uint64, cost time.Duration, err error)
}

// ruleObserver receives the changes of sysctls and of rules of the legacy firewall. *proofScheduler implements it.
type ruleObserver interface{ rulesChanged() }

// fingerprintPoller requests a round when the fingerprint of the host changes. Safe for concurrent use.
type fingerprintPoller struct {
	host  Fingerprinter
	queue *roundQueue
	rules ruleObserver
	log   *slog.Logger
	last  atomic.Uint64 // at the last round; 0: none is expected

	timers health.Timers

	// Of the goroutine of Run:
	foreign     uint64    // the last hash of other legacy tables; 0: none
	foreignNext time.Time // when they are read again
}

// Run polls until the context ends.
func (p *fingerprintPoller) Run(ctx context.Context) error {
	ticks := newTicks(p.timers)
	defer ticks.stop()
	for before := uint64(0); ; {
		now, err := p.host.PollFingerprint()
		if err != nil {
			p.log.Debug("cannot poll sysctls and the legacy firewall", "err", err)
		} else if now != p.expected() {
			p.queue.RequestRound("sysctl or firewall", uplinks.ChangedScope{})
		}
		if before != 0 && now != before {
			p.rules.rulesChanged()
		}
		before = now
		p.pollForeign()
		if err := ticks.await(ctx, time.Now(), fingerprintInterval); err != nil {
			return err
		}
	}
}

// pollForeign reads the other legacy tables, if it is time.
func (p *fingerprintPoller) pollForeign() {
	if time.Now().Before(p.foreignNext) {
		return
	}
	now, cost, err := p.host.ForeignLegacyRules()
	if err != nil {
		p.log.Debug("cannot poll the legacy firewall", "err", err)
		now = p.foreign
	}
	if p.foreign != 0 && now != p.foreign {
		p.rules.rulesChanged()
	}
	p.foreign = now
	p.foreignNext = time.Now().Add(min(max(minRulesInterval, rulesIntervalFactor*cost), maxRulesInterval))
}

// read returns the fingerprint, 0 when it cannot be read.
func (p *fingerprintPoller) read() uint64 {
	fingerprint, _ := p.host.Fingerprint() // Run logs the error
	return fingerprint
}

func (p *fingerprintPoller) expected() uint64 { return p.last.Load() }

func (p *fingerprintPoller) expect(fingerprint uint64) { p.last.Store(fingerprint) }
