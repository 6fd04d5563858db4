package outbound

import (
	"fmt"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// awaitPolicy waits until policy "all" is as wanted in both families.
func (g *gateway) awaitPolicy(t *testing.T, condition string, is func(health.PolicyStatus) bool) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, condition, func() bool {
		n := 0
		if o := g.ServiceStatus().Outbound; o != nil {
			for _, p := range o.Policies {
				if p.Policy == "all" && is(p) {
					n++
				}
			}
		}
		return n == len(uplinks.Families)
	})
}

// moves returns how often connections of the uplink were moved, in both families.
func (g *gateway) moves(t *testing.T, uplink string) (n int) {
	t.Helper()
	for _, family := range uplinks.Families {
		n += g.ServiceStatus().Outbound.Of(uplink, family).Moves
	}
	return n
}

// While no uplink of a policy works no connection is ended: those of hosts inside, whose sources are translated, and the gateway's own go
// on when theirs is back. What begins meanwhile goes by main, with the uplink's source.
func TestNothingIsEndedWhileNoUplinkWorks(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(u *world.Uplink, down bool){
		"no carrier": box.SetNoCarrier,
		"black hole": box.SetBlackHole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box.EachFirewall(t, func(t *testing.T, backend string) {
				g, s := startTiers(t, backend, `failback = "move"`)
				g.awaitUplink(t, g.LAN, 0)
				g.awaitUplink(t, g.Gateway, 0)
				const n = 5
				held := append(g.hold(t, g.LAN, n), g.hold(t, g.Gateway, n)...)
				fail(g.Uplinks[1], true)
				g.awaitPolicy(t, "the second uplink is down", func(p health.PolicyStatus) bool { return p.Members[1].State == uplinks.MemberDown })
				fail(g.Uplinks[0], true)
				g.awaitPolicy(t, "no uplink is usable", func(p health.PolicyStatus) bool { return p.Tier == 0 })
				for _, cs := range held {
					if alive := cs.Alive(2 * time.Second); alive > 0 {
						t.Errorf("%d connections go on while no uplink works", alive)
					}
				}
				g.sendInVain(t)
				if n4, n6 := g.pinned(4, 0), g.pinned(6, 0); n4 < 2*n || n6 < 2*n {
					t.Errorf("%d and %d connections are pinned to the first uplink while no uplink works", n4, n6)
				}
				fail(g.Uplinks[0], false)
				wantAlive(t, "the failure of both uplinks", n, held)
				// Where main leads what no policy does there, packets do not show that it is usable: if the second one were before, its
				// connections would go there.
				g.awaitPolicy(t, "the first uplink is usable", func(p health.PolicyStatus) bool { return p.Tier == 1 })
				g.awaitUplink(t, g.LAN, 0)
				fail(g.Uplinks[1], false)
				g.awaitPolicy(t, "the second uplink answers", func(p health.PolicyStatus) bool {
					return p.Members[1].State == uplinks.MemberUsable || p.Members[1].State == uplinks.MemberHeld
				})
				wantAlive(t, "the return of both uplinks", n, held)
				if moved := g.moves(t, "isp0"); moved > 0 {
					t.Errorf("connections of the first uplink were moved %d times", moved)
				}
				g.wantNoForeign(t)
				s.Stop()
			})
		})
	}
}

// sendInVain begins connections of the LAN's host and of the gateway that nobody answers.
func (g *gateway) sendInVain(t *testing.T) {
	t.Helper()
	for _, from := range []*world.Host{g.LAN, g.Gateway} {
		for _, to := range g.servers() {
			q := box.NewRequest(world.KindUDP, to)
			q.Timeout, q.ExpectTimeout = 300*time.Millisecond, true
			if a := from.Send(q); a.OK {
				t.Errorf("%s to %s: %s", from.Name, to, fmt.Sprint(a))
			}
		}
	}
}
