package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// reloadResult is how the last reload ended.
type reloadResult struct {
	At  time.Time
	Err error
}

// reload takes a new configuration, when it can be read and planned whole. Otherwise the old one stays.
func (s *Service) reload(ctx context.Context, deadline time.Duration) error {
	notify("RELOADING=1")
	err := s.applyConfig(ctx, deadline)
	s.lastReload.Store(&reloadResult{time.Now(), err})
	if err != nil {
		s.recordEvent(health.Event{Kind: eventReload, To: "refused", Text: "the new configuration is refused: " + firstLine(err.Error())})
		s.Log.Error("the new configuration is refused, the old one stays", "err", err)
		return fmt.Errorf("the new configuration is refused, the old one stays: %w", err)
	}
	s.recordEvent(health.Event{Kind: eventReload, To: "taken", Text: "a new configuration is in force"})
	s.Log.Info("configuration read", "uplinks", len(s.reconciler.Settings().Uplinks))
	return nil
}

func (s *Service) applyConfig(ctx context.Context, deadline time.Duration) error {
	c, err := config.Read(s.ConfigFile)
	if err != nil {
		return err
	}
	old := s.reconciler.Settings()
	if err := s.host.Reconfigure(ctx, c.Backend, c.TableBase); err != nil {
		return errors.Join(err, s.host.Reconfigure(ctx, old.Backend, old.TableBase))
	}
	_, now, err := uplinks.Preview(ctx, s.host, c.Settings)
	if err != nil {
		return errors.Join(err, s.host.Reconfigure(ctx, old.Backend, old.TableBase))
	}
	if err := s.armRollback(old, c.Settings, deadline); err != nil {
		return errors.Join(err, s.host.Reconfigure(ctx, old.Backend, old.TableBase))
	}
	s.reconciler.LogFindings(inspect.BeforeChange(c.Settings, now))
	s.reconciler.SetSettings(c.Settings)
	s.writeTableNames(c.Settings)
	s.configureTentatively(c, deadline != 0)
	return nil
}
