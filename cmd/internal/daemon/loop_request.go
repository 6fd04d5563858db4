package daemon

import (
	"context"
	"fmt"
	"time"

	"replypath/cmd/internal/control"
	"replypath/uplinks"
)

// loopRequest asks the loop's goroutine for a reload, or for a confirmation of the last one.
type loopRequest struct {
	confirm  bool
	deadline time.Duration // of a reload that goes back unless it is confirmed; 0: it stays
	result   chan error
}

// submit gives a request to the loop and waits for its end.
func (s *Service) submit(ctx context.Context, r loopRequest) error {
	r.result = make(chan error, 1)
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.trigger("reload", uplinks.ChangedScope{})
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reload reads the configuration file again and applies it. It refuses the request of a caller that reads another file.
func (s *Service) Reload(ctx context.Context, r control.Reload) error {
	if r.ConfigFile != "" && r.ConfigFile != s.ConfigFile {
		return fmt.Errorf("the service reads %s, not %s: change that file, or restart the service with --config %[2]s", s.ConfigFile, r.ConfigFile)
	}
	return s.submit(ctx, loopRequest{deadline: r.ConfirmWithin})
}

// Confirm keeps the configuration of the last Reload.
func (s *Service) Confirm(ctx context.Context) error {
	return s.submit(ctx, loopRequest{confirm: true})
}

func (s *Service) execute(ctx context.Context, r loopRequest) error {
	if r.confirm {
		return s.confirm()
	}
	return s.reload(ctx, r.deadline)
}

func (s *Service) handleHangups(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Hangup:
			// The loop logs how it went.
			_ = s.submit(ctx, loopRequest{})
		}
	}
}
