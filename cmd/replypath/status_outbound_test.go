package main

import (
	"strings"
	"testing"
	"time"

	"replypath/cmd/terminal"
	"replypath/health"
	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
)

func TestStatusShowsWhatPoliciesUse(t *testing.T) {
	s := health.OutboundStatus{Default: "balanced", CountedAt: testTime, Policies: []health.PolicyStatus{
		{Policy: "balanced", Family: uplinks.IPv4, Tier: 1, LastResort: "main", Since: testTime.Add(-3 * time.Hour), Members: []health.PolicyMember{
			{Uplink: "fibre", Tier: 1, Weight: 3, State: uplinks.MemberUsable, SharePercent: 75}, {Uplink: "cable", Tier: 1, Weight: 1, State: uplinks.MemberUsable, SharePercent: 25},
			{Uplink: "dsl", Tier: 1, Weight: 1, State: uplinks.MemberDrained}, {Uplink: "lte", Tier: 2, Weight: 1, State: uplinks.MemberUsable}}},
		{Policy: "balanced", Family: uplinks.IPv6, LastResort: "unreachable", Since: testTime.Add(-time.Minute), Reason: "lte is down", Members: []health.PolicyMember{{Uplink: "lte", Tier: 2, Weight: 1, State: uplinks.MemberDown}}},
	}, Uplinks: []health.OutboundUplinkStatus{
		{Uplink: "fibre", Family: uplinks.IPv4, Connections: 12004},
		{Uplink: "lte", Family: uplinks.IPv6, LastMove: &health.OutboundMove{At: testTime, Reason: "it is down", Connections: 4089, SecondSweep: 1, Sockets: 3, Milliseconds: 71}},
	}}
	var out strings.Builder
	writeOutbound(&out, &s, testTime, terminal.Palette{})
	want := `
OUTBOUND  policies; the default is balanced
policy    balanced IPv4: tier 1 since 3h00m
          fibre 75% (12004 pinned), cable 25% (0 pinned), dsl drained (0
          pinned), lte standby (0 pinned)
policy    balanced IPv6: none usable: unreachable since 1m
          lte down (0 pinned)
          last change at 2026-03-04 11:59:00: lte is down
moved     lte IPv6 at 2026-03-04 12:00:00: 4090 connections and 3 of this host
          moved in 71 ms, 1 of them in the second sweep: it is down
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
