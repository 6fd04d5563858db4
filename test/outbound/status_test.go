package outbound

import (
	"encoding/json"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/uplinks"
)

// policyOf returns the status of policy "all" in IPv4, and of its first uplink.
func (g *gateway) policyOf() (health.PolicyStatus, health.OutboundUplinkStatus) {
	g.T.Helper()
	o := g.ServiceStatus().Outbound
	if o == nil {
		return health.PolicyStatus{}, health.OutboundUplinkStatus{}
	}
	for _, p := range o.Policies {
		if p.Policy == "all" && p.Family == uplinks.IPv4 {
			return p, o.Of("isp0", uplinks.IPv4)
		}
	}
	return health.PolicyStatus{}, health.OutboundUplinkStatus{}
}

// The status, the events and the metrics show which uplink a policy uses, how many connections are pinned, and how a failover
// moved them.
func TestStatusShowsAFailover(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	g.probeServer()
	g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
	s := g.startProbed()
	g.awaitUplink(t, g.LAN, 0)
	g.hold(t, g.LAN, 7)
	box.Eventually(t, box.EventualTimeout, "the connections are counted", func() bool {
		p, u := g.policyOf()
		return p.Tier == 1 && u.Connections >= 7
	})
	if p, _ := g.policyOf(); p.UplinksInUse() != "isp0" || len(p.Members) != 2 || p.Members[0].SharePercent != 100 || p.Members[1].State != uplinks.MemberUsable {
		t.Errorf("before: %+v", p)
	}
	box.SetBlackHole(g.Uplinks[0], true)
	box.Eventually(t, box.EventualTimeout, "the failover is shown", func() bool {
		p, u := g.policyOf()
		return p.Tier == 2 && u.LastMove != nil && u.Connections == 0
	})
	p, u := g.policyOf()
	if p.Changes != 1 || p.Reason != "isp0 is down" || p.UplinksInUse() != "isp1" || u.Moves != 1 || u.LastMove.Connections < 7 || u.LastMove.Reason != "it is down" {
		t.Errorf("after: %+v, %+v", p, u)
	}
	var events []string
	for _, e := range g.ServiceStatus().Events {
		if e.Kind == "policy" && e.Family == "ipv4" {
			events = append(events, e.Policy+" "+e.From+" "+e.To+" "+e.Text)
		}
	}
	if len(events) != 1 || events[0] != "all isp0 isp1 policy all IPv4: uses isp1 (tier 2): isp0 is down" {
		t.Errorf("events: %q", events)
	}
	text := g.Run("status").Stdout
	for _, want := range []string{"policy    all IPv4: tier 2 since", "isp0 down (0 pinned), isp1 100%", "last change at", "moved     isp0 IPv4 at"} {
		if !strings.Contains(text, want) {
			t.Errorf("the status has no %q:\n%s", want, text)
		}
	}
	var printed health.Status
	if err := json.Unmarshal([]byte(g.Run("status", "--json").Stdout), &printed); err != nil || printed.Outbound == nil || printed.Outbound.Default != "all" {
		t.Errorf("status --json: %v, %+v", err, printed.Outbound)
	}
	s.Stop()
}
