package outbound

import (
	"testing"

	"replypath/test/box"
	"replypath/uplinks"
)

// An uplink that flaps is held down: its connections move with the first flap, and no later one moves any. While it answers it is used
// nevertheless where no other uplink is usable.
func TestFlapsDoNotMoveConnections(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startTiers(t, backend, `failback = "move"`, `last_resort = "unreachable"`)
		g.awaitUplink(t, g.LAN, 0)
		start, startMoves := g.policyOf()
		for range 2 {
			box.SetNoCarrier(g.Uplinks[0], true)
			g.awaitUplink(t, g.LAN, 1)
			box.SetNoCarrier(g.Uplinks[0], false)
			if g.ServiceStatus().Uplinks[0].Families[0].Flaps == 0 {
				g.awaitUplink(t, g.LAN, 0) // the first time is no flap
			}
		}
		held := append(g.hold(t, g.LAN, 5), g.hold(t, g.Gateway, 5)...)
		g.awaitMember(t, uplinks.MemberHeld)
		before, moves := g.policyOf()
		box.Eventually(t, box.EventualTimeout, "the moves so far are recorded, each after its second sweep", func() bool {
			before, moves = g.policyOf()
			return moves.Moves-startMoves.Moves == (before.Changes-start.Changes+1)/2 // every other change is away from the first uplink
		})
		for range 5 {
			g.flap(t)
		}
		after, movesAfter := g.policyOf()
		if after.Changes != before.Changes || movesAfter.Moves != moves.Moves || after.UplinksInUse() != "isp1" {
			t.Errorf("%d flaps changed the policy %d times and moved connections %d times: it uses %s", 5, after.Changes-before.Changes, movesAfter.Moves-moves.Moves, after.UplinksInUse())
		}
		wantAlive(t, "flaps of another uplink", 5, held)
		if n4, n6 := g.pinned(4, 1), g.pinned(6, 1); n4 < 5 || n6 < 5 {
			t.Errorf("%d and %d connections are pinned to the second uplink", n4, n6)
		}
		g.wantHeldUplinkUsed(t)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// flap takes the first uplink down until the policy knows, and brings it back until it answers.
func (g *gateway) flap(t *testing.T) {
	t.Helper()
	box.SetNoCarrier(g.Uplinks[0], true)
	g.awaitMember(t, uplinks.MemberDown)
	box.SetNoCarrier(g.Uplinks[0], false)
	g.awaitMember(t, uplinks.MemberHeld)
}

// awaitMember waits until the policy's first uplink is in the state in IPv4.
func (g *gateway) awaitMember(t *testing.T, state uplinks.MemberState) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the first uplink is "+string(state), func() bool {
		p, _ := g.policyOf()
		return len(p.Members) > 0 && p.Members[0].State == state
	})
}

// wantHeldUplinkUsed takes the second uplink down, and wants connections by the first one while it is held down. That has ended when the
// machine was too slow for it: then it flaps once more.
func (g *gateway) wantHeldUplinkUsed(t *testing.T) {
	t.Helper()
	for range 5 {
		box.SetNoCarrier(g.Uplinks[1], true)
		g.awaitUplink(t, g.LAN, 0)
		g.awaitUplink(t, g.Gateway, 0)
		p, _ := g.policyOf()
		box.SetNoCarrier(g.Uplinks[1], false)
		if p.Members[0].State == uplinks.MemberHeld && p.UplinksInUse() == "isp0" && p.Tier == 1 {
			return
		}
		g.flap(t)
	}
	t.Error("the uplink that is held down was never used")
}
