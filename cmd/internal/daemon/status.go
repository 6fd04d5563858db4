package daemon

import (
	"cmp"
	"fmt"
	"time"

	"replypath/health"
)

// roundOverdue is how long the loop may go without a round until it is taken for dead: it comes by itself every refresh, and
// no round should take as long as another.
const roundOverdue = 2 * resyncInterval

// Status puts together what is known.
func (s *Service) Status() health.Status {
	r := s.reconciler.Report()
	status := health.Status{
		Version: health.StatusVersion, At: time.Now(), Started: s.started, Build: cmp.Or(s.Build, "unknown"),
		Ready:    s.ready.Load(),
		Problems: problems(r, time.Now()),
		SyncStatus: health.SyncStatus{InSync: r.InSync, Since: r.Since, LastRound: r.Last, RepairsWaiting: r.Waiting, Changes: r.Changes,
			Rounds: r.Rounds, Repairs: r.Repairs, Drift: r.Drift},
		Uplinks: s.proofs.monitor.Status(),
		Events:  s.journal.Events(),
	}
	status.Healthy = len(status.Problems) == 0
	if r.Err != nil {
		status.Error = r.Err.Error()
	}
	if last := s.lastReload.Load(); last != nil {
		status.Reload = &health.ReloadStatus{At: last.At}
		if last.Err != nil {
			status.Reload.Error = last.Err.Error()
		}
	}
	return status
}

// problems says what keeps the service from doing its work, whatever the uplinks do.
func problems(r Report, now time.Time) []string {
	all := []string{}
	if r.Last.IsZero() {
		return append(all, "the kernel has not been looked at yet")
	}
	if quiet := now.Sub(r.Last); quiet > roundOverdue {
		all = append(all, fmt.Sprintf("the kernel has not been looked at for %s", quiet.Round(time.Second)))
	}
	switch {
	case r.Err != nil:
		all = append(all, "the last look at the kernel failed: "+firstLine(r.Err.Error()))
	case r.Waiting > 0:
		all = append(all, waitingRepairs(r.Waiting)+", because somebody undoes what is repaired again and again: see the log")
	case !r.InSync:
		all = append(all, "the kernel is not in sync: it is being repaired")
	}
	return all
}

func waitingRepairs(n int) string {
	if n == 1 {
		return "1 repair waits"
	}
	return fmt.Sprintf("%d repairs wait", n)
}

// Subscribe is told every event from now on.
func (s *Service) Subscribe(buffer int) *health.Subscription { return s.journal.Subscribe(buffer) }
