package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/prover"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/health/hook"
	"replypath/health/monitor"
	"replypath/uplinks"
)

// The kinds of events that are not health's own.
const (
	eventReload = "reload"
	eventRepair = "repair"
)

// initComponents makes what looks after the uplinks, and begins with what the configuration says.
func (s *Service) initComponents(c config.Config) {
	m := monitor.New(s.probers.byKind())
	s.endpoint = endpoint.New(s.Log, c.Endpoint, s)
	s.hooks = hook.New(s.Log)
	m.OnEvent = s.recordStateChange
	m.OnOutcome = s.endpoint.Metrics().Observe
	s.proofs = newProofScheduler(m, s.Log)
	s.proofs.proveAll = prover.Prover{}.Prove
	s.proofs.proveSubset = prover.Prover{}.ProveSubset
	s.proofs.replyCounts = s.host.ReplyCounts
	s.proofs.requestCheck = func() { s.trigger("a reply would stray", uplinks.ChangedScope{}) }
	s.reconciler.OnObserved = s.proofs.updatePaths
	s.reconciler.OnRepaired = s.recordRepair
	s.configure(c)
}

// configure keeps to what the configuration says beside the kernel's settings.
func (s *Service) configure(c config.Config) {
	s.config = c
	s.proofs.configure(c.Health)
	s.endpoint.Set(c.Endpoint)
	s.hooks.SetPrograms(c.Health.OnChange)
}

// configureTentatively is attend for a configuration that may go back.
func (s *Service) configureTentatively(c config.Config, tentative bool) {
	switch {
	case !tentative:
		s.previousConfig = nil
	case s.previousConfig == nil:
		before := s.config
		s.previousConfig = &before
	}
	s.configure(c)
}

// recordEvent writes an event down, and tells the operator's programs.
func (s *Service) recordEvent(e health.Event) { s.hooks.Enqueue(s.journal.Add(e)) }

// recordStateChange records an event that nobody else logs.
func (s *Service) recordStateChange(e health.Event) {
	s.recordEvent(e)
	if e.Kind == eventState {
		s.recordVerdict(e)
	}
	level := slog.LevelInfo
	if e.To == string(health.Down) || e.To == string(health.Unproven) || e.To == string(health.No) {
		level = slog.LevelWarn
	}
	s.Log.Log(context.Background(), level, e.Text)
}

// recordRepair tells what a round has changed. The keeper has logged each step.
func (s *Service) recordRepair(plan uplinks.Plan, reason string, scopes []uplinks.ChangedScope) {
	s.proofs.invalidate(scopes...)
	text := firstLine(plan[0].String())
	if len(plan) > 1 {
		text = fmt.Sprintf("%s, and %d more", text, len(plan)-1)
	}
	s.recordEvent(health.Event{Kind: eventRepair, To: string(plan[0].Kind()), Text: fmt.Sprintf("changed because of %s: %s", reason, text)})
}
