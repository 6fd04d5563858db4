package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"replypath/health"
	"replypath/health/hook"
	"replypath/uplinks"
)

// The kinds of events: states are the monitor's.
const (
	eventState    = "state"
	eventReload   = "reload"
	eventRepair   = "repair"
	eventSync     = "sync"
	eventProxy    = "proxy"
	eventOutbound = "outbound"
	eventPolicy   = "policy"
)

// eventRecorder adds events to the event log, and runs the operator's programs for them. Safe for concurrent use.
type eventRecorder struct {
	events   *health.EventLog
	hooks    *hook.Runner
	verdicts *verdicts
	log      *slog.Logger
}

// Record records an event that is logged elsewhere.
func (r *eventRecorder) Record(e health.Event) { r.hooks.Enqueue(r.events.Add(e)) }

// HandleMonitorEvent records and logs an event of the monitor. A new state of a path is a verdict for the desired state, which does
// not wait for the log.
func (r *eventRecorder) HandleMonitorEvent(e health.Event) {
	r.Record(e)
	if e.Kind == eventState {
		r.verdicts.HandleStateEvent(e)
	}
	level := slog.LevelInfo
	if e.To == string(health.Down) || e.To == string(health.Unproven) || e.To == string(health.No) {
		level = slog.LevelWarn
	}
	r.log.Log(context.Background(), level, e.Text)
}

// roundListener passes the results of rounds on to the other components.
type roundListener struct {
	proofs   *proofScheduler
	recorder *eventRecorder
	mismarks *mismarkPoller
	proxies  *proxyStates
	routers  *routerPoller // nil: the kernel of a test has no neighbours
	udp      *observedStatus[health.UDPStatus]
	flows    *observedStatus[health.AccelerationStatus]
	finder   *routerFinder
}

// Observed implements Listener.
func (l *roundListener) Observed(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope) {
	l.proofs.updatePaths(s, f, only)
	l.mismarks.observe(s, f)
	if l.routers != nil {
		l.routers.observe(s, f)
	}
	if only == nil {
		l.proxies.observe(s, f)
		l.udp.observe(s, f)
		l.flows.observe(s, f)
		l.finder.observe(s, f)
	}
}

// Followed implements Listener. The reconciler has logged each step.
func (l *roundListener) Followed(steps uplinks.Plan, why string, scopes []uplinks.ChangedScope) {
	l.record(eventSync, "changed", steps, why, scopes)
}

// Repaired implements Listener. The reconciler has logged each step.
func (l *roundListener) Repaired(steps uplinks.Plan, why string, scopes []uplinks.ChangedScope) {
	l.record(eventRepair, "repaired", steps, why, scopes)
}

func (l *roundListener) record(kind, verb string, steps uplinks.Plan, why string, scopes []uplinks.ChangedScope) {
	l.proofs.invalidate(scopes...)
	if len(steps) == 0 {
		return
	}
	text := stepLine(steps[0])
	if len(steps) > 1 {
		text = fmt.Sprintf("%s, and %d more", text, len(steps)-1)
	}
	l.recorder.Record(health.Event{Kind: kind, To: string(steps[0].Kind()), Text: fmt.Sprintf("%s %s: %s", verb, why, text)})
}
