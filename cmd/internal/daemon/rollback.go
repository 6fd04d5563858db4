package daemon

import (
	"context"
	"errors"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
)

// initialSettings says which settings to start with: those of the configuration, unless they have gone back already for want of
// a confirmation, or should have while nobody was there to see to it.
func (s *Service) initialSettings(configured uplinks.Settings) (uplinks.Settings, error) {
	memory, err := statedir.Open(s.StateDir)
	if err != nil {
		return configured, err
	}
	s.state = memory
	pending, err := memory.Pending()
	switch {
	case err != nil:
		return configured, err
	case pending == nil:
		return configured, nil
	case !pending.Matches(configured):
		return configured, memory.SetPending(nil) // the file has been changed since
	}
	s.pending = pending
	if pending.Reverted {
		s.Log.Warn("the configuration was not confirmed: the previous one stays", "remedy", "replypath reload takes it all the same")
		return pending.RollbackTarget(), nil
	}
	return configured, nil
}

// armRollback notes, before new settings are taken, what is gone back to when they are not confirmed in time.
func (s *Service) armRollback(old, settings uplinks.Settings, deadline time.Duration) error {
	if deadline == 0 {
		s.pending = nil
		return errors.Join(s.state.SetPending(nil), s.state.SetApplied(&settings))
	}
	if s.pending != nil && !s.pending.Reverted {
		old = s.pending.RollbackTarget() // what is not confirmed yet is nothing to go back to
	}
	s.pending = &statedir.Pending{Deadline: statedir.SinceBoot() + deadline, New: settings, Previous: &old}
	return s.state.SetPending(s.pending)
}

func (s *Service) confirm() error {
	if s.pending == nil || s.pending.Reverted {
		return statedir.ErrNothingPending
	}
	settings := s.pending.New
	s.pending, s.previousConfig = nil, nil
	s.Log.Info("the configuration is confirmed")
	return errors.Join(s.state.SetPending(nil), s.state.SetApplied(&settings))
}

// rollBackIfDue goes back to the previous settings when the time for a confirmation is over.
func (s *Service) rollBackIfDue(ctx context.Context) error {
	if s.pending == nil || s.pending.Reverted || s.pending.Remaining() > 0 {
		return nil
	}
	target := s.pending.RollbackTarget()
	if err := s.host.Reconfigure(ctx, target.Backend, target.TableBase); err != nil {
		return err
	}
	s.pending.Reverted = true
	s.reconciler.SetSettings(target)
	s.writeTableNames(target)
	if s.previousConfig != nil {
		s.configure(*s.previousConfig)
		s.previousConfig = nil
	}
	s.Log.Error("not confirmed in time: back to the previous configuration")
	return s.state.SetPending(s.pending)
}
