package daemon

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// Report is the result of the rounds so far.
type Report struct {
	InSync      bool
	Since       time.Time      // of InSync
	Last        time.Time      // the end of the last round
	Err         error          // of the last round
	Changes     int            // steps that were executed
	Repairs     map[string]int // those of them that reverted changes by other programs, by kind
	Unannounced int            // those of them whose objects change without an event
	Drift       int            // steps that were missing when the last round observed the kernel
	Rounds      int
	Waiting     int // steps that the back-off delays
	Uplinks     int
	Findings    []inspect.Finding
}

// reports keeps the report, and logs what is new in it. Safe for concurrent use.
type reports struct {
	log *slog.Logger

	mu   sync.Mutex
	last Report
}

// Report returns the report of the last round.
func (p *reports) Report() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// addFailure records the error of a round, and logs it unless it is the one before.
func (p *reports) addFailure(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Err == nil || p.last.Err.Error() != err.Error() {
		p.log.Warn("cannot "+what+", will retry", "err", err)
	}
	if p.last.InSync || p.last.Since.IsZero() {
		p.last.Since = time.Now()
	}
	p.last.Err, p.last.InSync, p.last.Last = err, false, time.Now()
}

// LogFindings logs and keeps findings that come before a round.
func (p *reports) LogFindings(findings []inspect.Finding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logNewFindings(findings)
	p.last.Findings = slices.Concat(p.last.Findings, findings)
}

func (p *reports) logNewFindings(findings []inspect.Finding) {
	known := make(map[inspect.Finding]bool, len(p.last.Findings))
	for _, f := range p.last.Findings {
		known[f] = true
	}
	for _, f := range findings {
		if !known[f] {
			p.log.Warn(f.What, "remedy", f.Remedy)
		}
	}
}

// add adds the report of one round, whose Changes, Repairs, Unannounced and Rounds are of that round alone.
func (p *reports) add(r Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logNewFindings(r.Findings)
	r.Changes += p.last.Changes
	r.Repairs = addCounts(p.last.Repairs, r.Repairs)
	r.Unannounced += p.last.Unannounced
	r.Rounds = p.last.Rounds + 1
	r.Last = time.Now()
	r.Since = p.last.Since
	if r.InSync != p.last.InSync || r.Since.IsZero() {
		r.Since = time.Now()
	}
	p.last = r
}

// addSteps adds the steps of the first part of a round.
func (p *reports) addSteps(done, repairs uplinks.Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last.Changes += len(done)
	p.last.Unannounced += countUnannounced(done)
	p.last.Repairs = addCounts(p.last.Repairs, countByKind(repairs))
}

// addCounts returns the sums of both, in a new map: a reader may have either.
func addCounts(a, b map[string]int) map[string]int {
	sum := map[string]int{}
	maps.Copy(sum, b)
	for kind, n := range a {
		sum[kind] += n
	}
	return sum
}

func countByKind(p uplinks.Plan) map[string]int {
	n := map[string]int{}
	for _, s := range p {
		n[string(s.Kind())]++
	}
	return n
}

// countUnannounced returns the number of steps for objects whose changes the kernel does not announce.
func countUnannounced(p uplinks.Plan) (n int) {
	for _, s := range p {
		if s.Kind() == uplinks.KindSysctl || s.Kind() == uplinks.KindChains {
			n++
		}
	}
	return n
}
