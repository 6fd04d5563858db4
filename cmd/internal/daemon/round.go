package daemon

import (
	"context"
	"errors"
	"time"

	"replypath/uplinks"
)

// roundRunner runs the rounds of the loop: a due rollback, one request, then a reconciliation.
type roundRunner struct {
	queue         *roundQueue
	requests      *requestQueue
	configuration *configuration
	reconciler    *Reconciler
	fingerprints  *fingerprintPoller
	proofs        *proofScheduler
	manager       *managerNotifier
	saving        *savingReport
}

// RunRound implements RoundRunner.
func (r *roundRunner) RunRound(ctx context.Context, reason string) time.Duration {
	r.configuration.rollBackIfDue(ctx)
	r.configuration.rollBackRestoreIfDue(ctx)
	next := r.carryOutOrReconcile(ctx, reason)
	report := r.reconciler.Report()
	r.configuration.finishRound(report.InSync || report.Waiting > 0)
	r.saving.update()
	r.manager.notifyStatus()
	return r.configuration.untilDeadline(next)
}

// RunFastPath implements RoundRunner.
func (r *roundRunner) RunFastPath(ctx context.Context, reason string) {
	r.reconciler.RestoreTable(reason)
	r.reconciler.FailOver(ctx)
	r.reconciler.FollowRouters(ctx)
}

func (r *roundRunner) carryOutOrReconcile(ctx context.Context, reason string) time.Duration {
	select {
	case p := <-r.requests.pending:
		err := p.execute(ctx, r.configuration)
		next := r.reconcile(ctx, "request", nil)
		p.result <- errors.Join(err, r.reconciler.Report().Err)
		r.queue.RequestRound("request", uplinks.ChangedScope{}) // another request may wait
		return next
	default:
		return r.reconcile(ctx, reason, r.queue.takeScopes())
	}
}

// reconcile reconciles, and sets the fingerprint that the poller expects from now on. It takes the fingerprint before the
// round, so that a change during the round is noticed. After a repair of what the fingerprint covers it expects none: the
// same damage done again would restore the fingerprint from before the round.
func (r *roundRunner) reconcile(ctx context.Context, reason string, scopes []uplinks.ChangedScope) time.Duration {
	before, fingerprint := r.reconciler.Report(), r.fingerprints.expected()
	if len(scopes) == 0 {
		fingerprint = r.fingerprints.read()
	}
	next := r.reconciler.Reconcile(ctx, reason, scopes...)
	after := r.reconciler.Report()
	if after.Unannounced != before.Unannounced && after.Err == nil {
		fingerprint = 0
	}
	r.fingerprints.expect(fingerprint)
	if after.InSync || after.Waiting > 0 {
		r.proofs.schedule()
	}
	return next
}
