package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/health/hook"
	"replypath/uplinks"
)

// The kinds of events that are not health's own.
const (
	eventReload = "reload"
	eventRepair = "repair"
)

// equip makes what looks after the uplinks, and begins with what the configuration says.
func (s *Service) equip(c config.Config) {
	monitor := health.NewMonitor(s.askers.kinds())
	s.endpoint = endpoint.New(s.Log, c.Endpoint, s)
	s.hooks = hook.New(s.Log)
	monitor.Changed = s.happened
	monitor.Answered = s.endpoint.Metrics().Observe
	s.care = newCare(monitor, s.Log)
	s.care.prove = s.host.Prove
	s.care.some = s.host.ProveSome
	s.care.replies = s.host.Replies
	s.care.doubt = func() { s.nudge("a reply would stray", uplinks.Place{}) }
	s.keeper.Observed = s.care.observed
	s.keeper.Repaired = s.repaired
	s.attend(c)
}

// attend keeps to what the configuration says beside the kernel's settings.
func (s *Service) attend(c config.Config) {
	s.asked = c
	s.care.attend(c.Health)
	s.endpoint.Set(c.Endpoint)
	s.hooks.Set(c.Health.OnChange)
}

// tryOut is attend for a configuration that may go back.
func (s *Service) tryOut(c config.Config, goesBack bool) {
	switch {
	case !goesBack:
		s.before = nil
	case s.before == nil:
		before := s.asked
		s.before = &before
	}
	s.attend(c)
}

// record writes an event down, and tells the operator's programs.
func (s *Service) record(e health.Event) { s.hooks.Tell(s.journal.Add(e)) }

// happened records an event that nobody else logs.
func (s *Service) happened(e health.Event) {
	s.record(e)
	level := slog.LevelInfo
	if e.To == string(health.Down) || e.To == string(health.Unproven) || e.To == string(health.No) {
		level = slog.LevelWarn
	}
	s.Log.Log(context.Background(), level, e.Text)
}

// repaired tells what a round has changed. The keeper has logged each step.
func (s *Service) repaired(done uplinks.Plan, why string, at []uplinks.Place) {
	s.care.changed(at...)
	text := firstLine(done[0].String())
	if len(done) > 1 {
		text = fmt.Sprintf("%s, and %d more", text, len(done)-1)
	}
	s.record(health.Event{Kind: eventRepair, To: uplinks.KindOf(done[0]), Text: fmt.Sprintf("changed because of %s: %s", why, text)})
}
