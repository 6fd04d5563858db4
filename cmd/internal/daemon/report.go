package daemon

import (
	"slices"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// Report is how things stand.
type Report struct {
	InSync   bool
	Since    time.Time      // of InSync
	Last     time.Time      // when the last round ended
	Err      error          // of the last round
	Changes  int            // steps that were carried out
	Repairs  map[string]int // the same by their kinds
	Drift    int            // steps that were to do when the last round looked
	Rounds   int
	Waiting  int // steps that wait because somebody undoes them
	Uplinks  int
	Findings []inspect.Finding
}

// unannouncedRepairs is how many of the repairs so far the kernel announces to nobody.
func (r Report) unannouncedRepairs() int {
	return r.Repairs[string(uplinks.KindSysctl)] + r.Repairs[string(uplinks.KindChains)]
}

// Report is how things stand after the last round.
func (k *Reconciler) Report() Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.report
}

func (k *Reconciler) recordFailure(step string, err error) {
	k.mu.Lock()
	again := k.report.Err != nil && k.report.Err.Error() == err.Error()
	if k.report.InSync || k.report.Since.IsZero() {
		k.report.Since = time.Now()
	}
	k.report.Err, k.report.InSync, k.report.Last = err, false, time.Now()
	k.mu.Unlock()
	if !again {
		k.Log.Warn("will retry", "step", step, "err", err)
	}
}

// LogFindings logs findings that are not known yet.
func (k *Reconciler) LogFindings(findings []inspect.Finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logNewFindings(findings)
	k.report.Findings = slices.Concat(k.report.Findings, findings)
}

// logNewFindings logs what is not known yet.
func (k *Reconciler) logNewFindings(findings []inspect.Finding) {
	known := make(map[inspect.Finding]bool, len(k.report.Findings))
	for _, f := range k.report.Findings {
		known[f] = true
	}
	for _, f := range findings {
		if !known[f] {
			k.Log.Warn(f.What, "remedy", f.Remedy)
		}
	}
}

// updateReport counts on, and tells findings once.
func (k *Reconciler) updateReport(r Report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logNewFindings(r.Findings)
	r.Changes += k.report.Changes
	for kind, n := range k.report.Repairs {
		r.Repairs[kind] += n
	}
	r.Rounds = k.report.Rounds + 1
	r.Last = time.Now()
	r.Since = k.report.Since
	if r.InSync != k.report.InSync || r.Since.IsZero() {
		r.Since = time.Now()
	}
	k.report = r
}

// countByKind counts steps by their kinds.
func countByKind(p uplinks.Plan) map[string]int {
	n := map[string]int{}
	for _, s := range p {
		n[string(s.Kind())]++
	}
	return n
}
