package daemon

import (
	"context"
	"time"

	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

// watch begins anew whenever a subscription ends: its first event then brings a full look.
func (s *Service) watch(ctx context.Context, what string, watch func(context.Context, func(host.Change)) error) error {
	for {
		err := watch(ctx, func(c host.Change) {
			if c.Who != "" {
				s.keeper.Suspect(c.What, c.Who)
			}
			if c.Link.Name != "" {
				s.care.monitor.Link(c.Link.Name, c.Link.Up, c.Link.Carrier)
				s.stir()
			}
			s.announce(c.What, c.At)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Log.Warn("will subscribe again", "to", what, "err", err)
		if err := sleep(ctx, soon); err != nil {
			return err
		}
	}
}

// beat is how often is looked at what the kernel does not announce. It bounds how late such a change is repaired.
const beat = 250 * time.Millisecond

func (s *Service) pulse(ctx context.Context) error {
	for {
		now, err := s.fingerprint()
		if err != nil {
			s.Log.Debug("cannot look at sysctls", "err", err)
		} else if now != s.seen.Load() {
			s.nudge("sysctl or firewall", uplinks.Place{})
		}
		if err := sleep(ctx, beat); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
