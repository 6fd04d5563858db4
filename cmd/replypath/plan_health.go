package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/control"
	"replypath/health"
	"replypath/uplinks"
)

// planHealth is what a plan knows about the health of the uplinks: policies avoid those that do not work.
type planHealth struct {
	FromService bool                 `json:"from_service"` // false: every uplink counts as working
	Why         string               `json:"why,omitempty"`
	Verdicts    []health.PathVerdict `json:"verdicts"`
}

// serviceHealth asks the running service for the health of the uplinks. Without [outbound] nothing depends on it: then it is nil.
func (p *program) serviceHealth(ctx context.Context, c config.Config) *planHealth {
	if !c.Outbound.Enabled() {
		return nil
	}
	all, err := control.Client{StateDir: p.stateDir}.Verdicts(ctx)
	switch {
	case errors.Is(err, control.ErrNoService):
		return &planHealth{Why: control.ErrNoService.Error(), Verdicts: nonNil(all)}
	case err != nil:
		return &planHealth{Why: fmt.Sprintf("the service cannot be asked: %v", err), Verdicts: nonNil(all)}
	}
	return &planHealth{FromService: true, Verdicts: nonNil(all)}
}

// verdicts returns the verdicts to plan with.
func (h *planHealth) verdicts() uplinks.Verdicts {
	if h == nil {
		return nil
	}
	return health.VerdictsOf(h.Verdicts)
}

// note says which uplinks policies may avoid by the probes of the service, or that it could not be asked. It is empty when every uplink
// works, and when the kernel is in sync without a service.
func (h *planHealth) note(inSync bool) string {
	switch {
	case h == nil, !h.FromService && inSync:
		return ""
	case !h.FromService:
		return fmt.Sprintf("health is unknown, and every uplink counts as working: %s", h.Why)
	}
	var bad []string
	for _, v := range h.Verdicts {
		switch v.Verdict {
		case uplinks.VerdictDown, uplinks.VerdictHeld, uplinks.VerdictDegraded: // of all others this host knows as much itself
			bad = append(bad, fmt.Sprintf("%s %s %s", v.Uplink, v.Family, v.Verdict))
		}
	}
	if len(bad) == 0 {
		return ""
	}
	return "planned with the health that the service sees: " + strings.Join(bad, ", ")
}
