package daemon

import (
	"context"
	"time"

	"replypath/uplinks"
)

// initialSettings returns the settings to start with: those of the configuration, unless they were rolled back before.
func (s *Service) initialSettings(configured uplinks.Settings) (uplinks.Settings, error) {
	switch {
	case s.transaction.RolledBack(configured):
		s.Log.Warn("the configuration was not confirmed in time: the previous one stays in force", "remedy", "to use the configuration all the same: replypath reload")
		return s.transaction.Previous(), nil
	case s.transaction.Changes(configured):
		return configured, nil
	}
	return configured, s.transaction.Cancel() // the file has changed since
}

// armRollback saves, before new settings are in force, what a change that is not confirmed in time is rolled back to.
func (s *Service) armRollback(old, settings uplinks.Settings, within time.Duration) error {
	if within == 0 {
		return s.transaction.Keep(settings)
	}
	return s.transaction.Arm(settings, &old, within)
}

func (s *Service) confirm() error {
	if err := s.transaction.Commit(); err != nil {
		return err
	}
	s.previousConfig = nil
	s.Log.Info("the configuration is confirmed")
	return nil
}

// rollBackIfDue restores the previous settings when the deadline for a confirmation is over.
func (s *Service) rollBackIfDue(ctx context.Context) error {
	done, err := s.transaction.Rollback(ctx, s)
	if done {
		s.Log.Error("the configuration was not confirmed in time: the previous one is in force again")
	}
	return err
}

// Restore puts settings in force for the next round, and the rest of the configuration that they came from. It is for the
// loop's goroutine.
func (s *Service) Restore(ctx context.Context, settings uplinks.Settings) error {
	if err := s.host.Reconfigure(ctx, settings.Backend, settings.TableBase); err != nil {
		return err
	}
	s.reconciler.SetSettings(settings)
	s.writeTableNames(settings)
	if s.previousConfig != nil {
		s.configure(*s.previousConfig)
		s.previousConfig = nil
	}
	return nil
}
