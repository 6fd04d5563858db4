package daemon

import (
	"context"
	"errors"
	"time"

	"replypath/uplinks"
)

// round is what the loop does: what was asked for, then a look and the repairs.
func (s *Service) round(ctx context.Context, why string) time.Duration {
	err := s.revert(ctx)
	if err != nil {
		s.Log.Warn("will retry", "step", "go back to the previous configuration", "err", err)
	}
	select {
	case r := <-s.requests:
		err := s.grant(ctx, r)
		next := s.look(ctx, "asked for", nil)
		r.answer <- errors.Join(err, s.keeper.Report().Err)
		s.nudge("asked for", uplinks.Place{}) // another may wait
		return s.until(next)
	default:
	}
	return s.until(s.look(ctx, why, s.changed.take()))
}

// look does the keeper's round, and notes what the pulse shall compare with. After a repair of what the kernel does not
// announce that is nothing: the same damage may be done again at once, and would look as if nothing had happened since
// the last beat.
func (s *Service) look(ctx context.Context, why string, at []uplinks.Place) time.Duration {
	before, seen := s.keeper.Report(), s.seen.Load()
	if len(at) == 0 {
		seen, _ = s.fingerprint() // the pulse tells of the error
	}
	next := s.keeper.Round(ctx, why, at...)
	r := s.keeper.Report()
	if r.silent() != before.silent() && r.Err == nil {
		seen = 0
	}
	s.seen.Store(seen)
	if r.InSync || r.Waiting > 0 {
		s.care.settled()
	}
	return next
}

// until notes how things stand, and when the loop must come again.
func (s *Service) until(next time.Duration) time.Duration {
	s.tell()
	if s.pending != nil && !s.pending.Reverted {
		return min(next, max(s.pending.Left(), time.Millisecond))
	}
	return next
}

// announce asks for a round and for a proof after it, because of a change at a place.
func (s *Service) announce(why string, at uplinks.Place) {
	s.care.changed(at)
	s.nudge(why, at)
}

// nudge asks for a round, because of a change at a place.
func (s *Service) nudge(why string, at uplinks.Place) {
	s.changed.note(at)
	s.loop.Nudge(why)
}
