package daemon

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// Report is the result of the rounds so far.
type Report struct {
	InSync   bool
	Since    time.Time      // of InSync
	Last     time.Time      // the end of the last round
	Err      error          // of the last round
	Changes  int            // steps that were executed
	Repairs  map[string]int // the same by kind
	Drift    int            // steps that were missing when the last round observed the kernel
	Rounds   int
	Waiting  int // steps that the back-off delays
	Uplinks  int
	Findings []inspect.Finding
}

// unannouncedRepairs returns the number of repairs whose damage the kernel does not announce.
func (r Report) unannouncedRepairs() int {
	return r.Repairs[string(uplinks.KindSysctl)] + r.Repairs[string(uplinks.KindChains)]
}

// reports keeps the report, and logs what is new in it. Safe for concurrent use.
type reports struct {
	log *slog.Logger

	mu   sync.Mutex
	last Report
}

// Report returns the report of the last round.
func (b *reports) Report() Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// addFailure records the error of a round, and logs it unless it is the one before.
func (b *reports) addFailure(what string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last.Err == nil || b.last.Err.Error() != err.Error() {
		b.log.Warn("cannot "+what+", will retry", "err", err)
	}
	if b.last.InSync || b.last.Since.IsZero() {
		b.last.Since = time.Now()
	}
	b.last.Err, b.last.InSync, b.last.Last = err, false, time.Now()
}

// LogFindings logs and keeps findings that come before a round.
func (b *reports) LogFindings(findings []inspect.Finding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logNewFindings(findings)
	b.last.Findings = slices.Concat(b.last.Findings, findings)
}

func (b *reports) logNewFindings(findings []inspect.Finding) {
	known := make(map[inspect.Finding]bool, len(b.last.Findings))
	for _, f := range b.last.Findings {
		known[f] = true
	}
	for _, f := range findings {
		if !known[f] {
			b.log.Warn(f.What, "remedy", f.Remedy)
		}
	}
}

// add adds the report of one round, whose Changes, Repairs and Rounds are of that round alone.
func (b *reports) add(r Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logNewFindings(r.Findings)
	r.Changes += b.last.Changes
	for kind, n := range b.last.Repairs {
		r.Repairs[kind] += n
	}
	r.Rounds = b.last.Rounds + 1
	r.Last = time.Now()
	r.Since = b.last.Since
	if r.InSync != b.last.InSync || r.Since.IsZero() {
		r.Since = time.Now()
	}
	b.last = r
}

func countByKind(p uplinks.Plan) map[string]int {
	n := map[string]int{}
	for _, s := range p {
		n[string(s.Kind())]++
	}
	return n
}
