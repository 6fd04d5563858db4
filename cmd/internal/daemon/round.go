package daemon

import (
	"context"
	"errors"
	"time"

	"replypath/uplinks"
)

// runRound is what the loop does: what was asked for, then a look and the repairs.
func (s *Service) runRound(ctx context.Context, reason string) time.Duration {
	err := s.rollBackIfDue(ctx)
	if err != nil {
		s.Log.Warn("will retry", "step", "go back to the previous configuration", "err", err)
	}
	select {
	case r := <-s.requests:
		err := s.execute(ctx, r)
		next := s.reconcile(ctx, "asked for", nil)
		r.result <- errors.Join(err, s.reconciler.Report().Err)
		s.trigger("asked for", uplinks.ChangedScope{}) // another may wait
		return s.nextWake(next)
	default:
	}
	return s.nextWake(s.reconcile(ctx, reason, s.dirty.take()))
}

// reconcile does the keeper's round, and notes what the pulse shall compare with. After a repair of what the kernel does not
// announce that is nothing: the same damage may be done again at once, and would look as if nothing had happened since
// the last beat.
func (s *Service) reconcile(ctx context.Context, reason string, scopes []uplinks.ChangedScope) time.Duration {
	before, fingerprint := s.reconciler.Report(), s.lastFingerprint.Load()
	if len(scopes) == 0 {
		fingerprint, _ = s.fingerprint() // the pulse tells of the error
	}
	next := s.reconciler.Reconcile(ctx, reason, scopes...)
	r := s.reconciler.Report()
	if r.unannouncedRepairs() != before.unannouncedRepairs() && r.Err == nil {
		fingerprint = 0
	}
	s.lastFingerprint.Store(fingerprint)
	if r.InSync || r.Waiting > 0 {
		s.proofs.schedule()
	}
	return next
}

// nextWake notes how things stand, and when the loop must come again.
func (s *Service) nextWake(next time.Duration) time.Duration {
	s.notifyManager()
	if s.transaction != nil && s.transaction.Armed() {
		return min(next, max(s.transaction.Remaining(), time.Millisecond))
	}
	return next
}

// noteChange asks for a round and for a proof after it, because of a change at a place.
func (s *Service) noteChange(reason string, scope uplinks.ChangedScope) {
	s.proofs.invalidate(scope)
	s.trigger(reason, scope)
}

// trigger asks for a round, because of a change at a place.
func (s *Service) trigger(reason string, scope uplinks.ChangedScope) {
	s.dirty.add(scope)
	s.loop.Trigger(reason)
}
