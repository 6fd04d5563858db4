package daemon

import (
	"context"
	"time"

	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

// watchKernel begins anew whenever a subscription ends: its first event then brings a full look.
func (s *Service) watchKernel(ctx context.Context, what string, watch func(context.Context, func(host.Event)) error) error {
	for {
		err := watch(ctx, func(c host.Event) {
			if c.Origin != "" {
				s.reconciler.SetSuspect(c.Subject, c.Origin)
			}
			if c.Link.Name != "" {
				s.proofs.monitor.UpdateLink(c.Link.Name, c.Link.Up, c.Link.Carrier)
				s.pollCarriersFaster()
			}
			s.noteChange(c.Subject, c.Scope)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Log.Warn("will subscribe again", "to", what, "err", err)
		if err := sleep(ctx, retryInterval); err != nil {
			return err
		}
	}
}

// fingerprintInterval is how often is looked at what the kernel does not announce. It bounds how late such a change is repaired.
const fingerprintInterval = 250 * time.Millisecond

func (s *Service) pollFingerprint(ctx context.Context) error {
	for {
		now, err := s.fingerprint()
		if err != nil {
			s.Log.Debug("cannot look at sysctls", "err", err)
		} else if now != s.lastFingerprint.Load() {
			s.trigger("sysctl or firewall", uplinks.ChangedScope{})
		}
		if err := sleep(ctx, fingerprintInterval); err != nil {
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
