package daemon

import (
	"context"
	"time"

	"replypath/uplinks"
)

// request asks the loop's goroutine for a reload, or for a confirmation of the last one.
type request struct {
	confirm  bool
	deadline time.Duration // of a reload that goes back unless it is confirmed; 0: it stays
	answer   chan error
}

// ask gives a request to the loop and waits for its end.
func (s *Service) ask(ctx context.Context, r request) error {
	r.answer = make(chan error, 1)
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.nudge("reload", uplinks.Place{})
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) grant(ctx context.Context, r request) error {
	if r.confirm {
		return s.confirm()
	}
	return s.reread(ctx, r.deadline)
}

func (s *Service) hangups(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Hangup:
			// The loop logs how it went.
			_ = s.ask(ctx, request{})
		}
	}
}
