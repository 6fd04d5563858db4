package daemon

import (
	"context"
	"errors"
	"time"

	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

// begin says which settings to start with: those of the configuration, unless they have gone back already for want of
// a confirmation, or should have while nobody was there to see to it.
func (s *Service) begin(configured uplinks.Settings) (uplinks.Settings, error) {
	memory, err := host.Remember(s.State)
	if err != nil {
		return configured, err
	}
	s.memory = memory
	pending, err := memory.Pending()
	switch {
	case err != nil:
		return configured, err
	case pending == nil:
		return configured, nil
	case !pending.Concerns(configured):
		return configured, memory.SetPending(nil) // the file has been changed since
	}
	s.pending = pending
	if pending.Reverted {
		s.Log.Warn("the configuration was not confirmed: the previous one stays", "remedy", "replypath reload takes it all the same")
		return pending.Back(), nil
	}
	return configured, nil
}

// venture notes, before new settings are taken, what is gone back to when they are not confirmed in time.
func (s *Service) venture(old, settings uplinks.Settings, deadline time.Duration) error {
	if deadline == 0 {
		s.pending = nil
		return errors.Join(s.memory.SetPending(nil), s.memory.SetInForce(&settings))
	}
	if s.pending != nil && !s.pending.Reverted {
		old = s.pending.Back() // what is not confirmed yet is nothing to go back to
	}
	s.pending = &host.Pending{Deadline: host.SinceBoot() + deadline, New: settings, Previous: &old}
	return s.memory.SetPending(s.pending)
}

func (s *Service) confirm() error {
	if s.pending == nil || s.pending.Reverted {
		return host.ErrNothingPending
	}
	settings := s.pending.New
	s.pending, s.before = nil, nil
	s.Log.Info("the configuration is confirmed")
	return errors.Join(s.memory.SetPending(nil), s.memory.SetInForce(&settings))
}

// revert goes back to the previous settings when the time for a confirmation is over.
func (s *Service) revert(ctx context.Context) error {
	if s.pending == nil || s.pending.Reverted || s.pending.Left() > 0 {
		return nil
	}
	old := s.pending.Back()
	if err := s.host.Adjust(ctx, old.Backend, old.TableBase); err != nil {
		return err
	}
	s.pending.Reverted = true
	s.keeper.Keep(old)
	s.name(old)
	if s.before != nil {
		s.attend(*s.before)
		s.before = nil
	}
	s.Log.Error("not confirmed in time: back to the previous configuration")
	return s.memory.SetPending(s.pending)
}
