package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/uplinks"
)

// fingerprintInterval is the time between two polls. It bounds how late a change that the kernel does not announce is
// repaired.
const fingerprintInterval = 250 * time.Millisecond

// Fingerprinter returns a hash of what the kernel does not announce: sysctls and legacy firewall tables.
type Fingerprinter interface {
	Fingerprint() (uint64, error)
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
}

// Run polls until the context ends.
func (p *fingerprintPoller) Run(ctx context.Context) error {
	for before := uint64(0); ; {
		now, err := p.host.Fingerprint()
		if err != nil {
			p.log.Debug("cannot poll sysctls and the legacy firewall", "err", err)
		} else if now != p.expected() {
			p.queue.RequestRound("sysctl or firewall", uplinks.ChangedScope{})
		}
		if before != 0 && now != before {
			p.rules.rulesChanged()
		}
		before = now
		if err := sleep(ctx, fingerprintInterval); err != nil {
			return err
		}
	}
}

// read returns the fingerprint, 0 when it cannot be read.
func (p *fingerprintPoller) read() uint64 {
	fingerprint, _ := p.host.Fingerprint() // Run logs the error
	return fingerprint
}

func (p *fingerprintPoller) expected() uint64 { return p.last.Load() }

func (p *fingerprintPoller) expect(fingerprint uint64) { p.last.Store(fingerprint) }
