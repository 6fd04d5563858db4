package outbound

import (
	"encoding/json"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/uplinks"
)

// planned is what "plan --json" prints about the health of uplinks.
type planned struct {
	InSync bool `json:"in_sync"`
	Health *struct {
		FromService bool `json:"from_service"`
		Why         string
		Verdicts    []health.PathVerdict
	}
}

// plan returns what "plan --json" prints.
func (g *gateway) plan(t *testing.T) (p planned) {
	t.Helper()
	r := g.Run("plan", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &p); err != nil || r.Stderr != "" {
		t.Fatalf("plan --json: %v: %s", err, r)
	}
	return p
}

// While an uplink is down the kernel is in sync with what the service sees, and plan says so. Without the service the same kernel
// differs: nobody knows that the uplink is down.
func TestPlanKnowsTheHealthThatTheServiceSees(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startTiers(t, backend)
		g.AwaitInSync()
		if r := g.Must(0, "plan"); r.Stdout+r.Stderr != "" {
			t.Errorf("while all works: %s", r)
		}
		box.SetBlackHole(g.Uplinks[0], true)
		for _, family := range uplinks.Families {
			box.Eventually(t, box.EventualTimeout, "the service sees that the uplink is down", func() bool {
				for _, v := range g.plan(t).Health.Verdicts {
					if v == (health.PathVerdict{Uplink: "isp0", Family: family, Verdict: uplinks.VerdictDown}) {
						return true
					}
				}
				return false
			})
		}
		g.awaitUplink(t, g.LAN, 1)
		g.AwaitInSync()
		r := g.Must(0, "plan")
		if want := "isp0 IPv4 down, isp0 IPv6 down"; r.Stdout != "" || !strings.Contains(r.Stderr, want) {
			t.Errorf("want %q of a kernel in sync: %s", want, r)
		}
		if p := g.plan(t); !p.InSync || !p.Health.FromService || p.Health.Why != "" {
			t.Errorf("while the uplink is down: %+v", p)
		}
		s.Stop()
		r = g.Must(3, "plan")
		if !strings.Contains(r.Stdout, " via "+g.Uplinks[0].Router4.String()+" dev eth0 ") || !strings.Contains(r.Stderr, "every uplink counts as working: the service does not run") {
			t.Errorf("without the service: %s", r)
		}
		if p := g.plan(t); p.InSync || p.Health.FromService || p.Health.Why == "" || len(p.Health.Verdicts) > 0 {
			t.Errorf("without the service: %+v", p)
		}
	})
}

// Without [outbound] nothing depends on health: plan does not ask, and says nothing about it.
func TestPlanWithoutPoliciesAsksNobody(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	if p := g.plan(t); p.Health != nil {
		t.Errorf("health %+v", *p.Health)
	}
	if r := g.Must(3, "plan"); r.Stderr != "" {
		t.Errorf("plan says %s", r.Stderr)
	}
}
