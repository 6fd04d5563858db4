package daemon

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"replypath/health"
	"replypath/health/hook"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
	"replypath/uplinks/uplinkstest"
)

// outboundTestSettings returns settings with one policy of two tiers.
func outboundTestSettings() uplinks.Settings {
	s := uplinkstest.Settings()
	s.Outbound = uplinks.Outbound{Default: "all", Masquerade: uplinks.MasqueradeOff, Policies: []uplinks.Policy{
		{Name: "all", Tiers: [][]uplinks.Member{{{Uplink: "fibre", Weight: 1}}, {{Uplink: "lte", Weight: 1}}}, LastResort: uplinks.LastMain, MoveFailed: true}}}
	return s
}

func TestOutboundStatesFollowTheVerdicts(t *testing.T) {
	events := &health.EventLog{}
	log := slog.New(slog.DiscardHandler)
	o := newOutboundStates(&eventRecorder{events: events, hooks: hook.New(log), verdicts: &verdicts{queue: newRoundQueue()}, log: log}, log)
	counted := errors.New("unreadable")
	o.count = func(_ context.Context, f rtnl.MarkFilter) (map[uint32]int, error) {
		return map[uint32]int{0x2100: 3, 0x2200: 2, 0x3000: 9}, counted
	}
	if o.Status() != nil {
		t.Error("there is a status before a policy")
	}
	s, f := outboundTestSettings(), uplinkstest.Facts()
	path := uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv4}
	o.observe(s, f, nil)
	o.observe(s, f, uplinks.Verdicts{path: uplinks.VerdictUp})
	began := o.Status().Policies[0]
	if began.Tier != 1 || began.Changes != 0 || began.UplinksInUse() != "fibre" || len(events.Events()) > 0 {
		t.Fatalf("at the start: %+v, %v", began, events.Events())
	}
	o.observe(s, f, uplinks.Verdicts{path: uplinks.VerdictDown})
	o.moved(path, health.OutboundMove{At: time.Now(), Reason: "it is down", Connections: 4, SecondSweep: 1, Sockets: 2})
	failed := o.Status().Policies[0]
	if failed.Tier != 2 || failed.Changes != 1 || failed.Reason != "fibre is down" || !failed.Since.After(began.Since) {
		t.Errorf("after a failover: %+v", failed)
	}
	if all := events.Events(); len(all) != 1 || all[0].Kind != "policy" || all[0].Policy != "all" || all[0].From != "fibre" || all[0].To != "lte" ||
		all[0].Text != "policy all IPv4: uses lte (tier 2): fibre is down" {
		t.Errorf("events: %+v", all)
	}
	o.countConnections(t.Context())
	if !o.Status().CountedAt.IsZero() {
		t.Error("a count that failed counts")
	}
	counted = nil
	o.countConnections(t.Context())
	u := o.Status().Of("fibre", uplinks.IPv4)
	if u.Connections != 3 || u.Moves != 1 || u.Moved != 7 || u.LastMove == nil || o.Status().Of("lte", uplinks.IPv4).Connections != 2 {
		t.Errorf("counts: %+v", u)
	}
	o.observe(uplinkstest.Settings(), f, nil)
	if o.Status() != nil {
		t.Error("there is a status without a policy")
	}
}

// What filters at egress have dropped is shown where sources are translated; elsewhere nothing is read.
func TestDropsOfFiltersAreShownWhereSourcesAreTranslated(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	o := newOutboundStates(&eventRecorder{events: &health.EventLog{}, hooks: hook.New(log), verdicts: &verdicts{queue: newRoundQueue()}, log: log}, log)
	o.dropped = func(uplinks.Facts) ([]health.OutboundFilterStatus, error) {
		return []health.OutboundFilterStatus{{Interface: "eth0", Family: uplinks.IPv4, Dropped: 5}}, nil
	}
	s, f := outboundTestSettings(), uplinkstest.Facts()
	for _, step := range []struct {
		masquerade uplinks.Masquerade
		want       int
	}{{uplinks.MasqueradeOff, 0}, {uplinks.MasqueradeIPv4, 1}, {uplinks.MasqueradeOff, 0}} {
		s.Outbound.Masquerade = step.masquerade
		o.observe(s, f, nil)
		o.countDropped()
		if n := len(o.Status().Filters); n != step.want {
			t.Errorf("masquerade %s: %d filters are shown, want %d", step.masquerade, n, step.want)
		}
	}
}
