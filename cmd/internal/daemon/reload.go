package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/uplinks"
)

// reload is how the last reload ended.
type reload struct {
	At  time.Time
	Err error
}

// reread takes a new configuration, when it can be read and planned whole. Otherwise the old one stays.
func (s *Service) reread(ctx context.Context, deadline time.Duration) error {
	notify("RELOADING=1")
	err := s.take(ctx, deadline)
	s.reloaded.Store(&reload{time.Now(), err})
	if err != nil {
		s.record(health.Event{Kind: eventReload, To: "refused", Text: "the new configuration is refused: " + firstLine(err.Error())})
		s.Log.Error("the new configuration is refused, the old one stays", "err", err)
		return fmt.Errorf("the new configuration is refused, the old one stays: %w", err)
	}
	s.record(health.Event{Kind: eventReload, To: "taken", Text: "a new configuration is in force"})
	s.Log.Info("configuration read", "uplinks", len(s.keeper.Settings().Uplinks))
	return nil
}

func (s *Service) take(ctx context.Context, deadline time.Duration) error {
	c, err := config.Read(s.Config)
	if err != nil {
		return err
	}
	old := s.keeper.Settings()
	if err := s.host.Adjust(ctx, c.Backend, c.TableBase); err != nil {
		return errors.Join(err, s.host.Adjust(ctx, old.Backend, old.TableBase))
	}
	_, findings, err := uplinks.Preview(ctx, s.host, c.Settings)
	if err != nil {
		return errors.Join(err, s.host.Adjust(ctx, old.Backend, old.TableBase))
	}
	if err := s.venture(old, c.Settings, deadline); err != nil {
		return errors.Join(err, s.host.Adjust(ctx, old.Backend, old.TableBase))
	}
	s.keeper.Tell(findings)
	s.keeper.Keep(c.Settings)
	s.name(c.Settings)
	s.tryOut(c, deadline != 0)
	return nil
}
