package outbound

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// remove removes the second uplink from the configuration, and from the policy.
func (g *gateway) removeSecond() {
	g.T.Helper()
	all := g.Uplinks
	g.Uplinks = all[:1]
	g.outbound(balanced(`[["isp0"]]`)...)
	g.Uplinks = all
}

// When an uplink is removed from the configuration, its connections that began inside are ended, and no packet of theirs leaves by the
// other one with its address.
func TestConnectionsOfRemovedUplinkAreEnded(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startBySecond(t, backend)
		inside, own := g.hold(t, g.LAN, 3), g.hold(t, g.Gateway, 3)
		streams := g.startOutbound(t)
		g.removeSecond()
		g.Must(0, "reload")
		g.awaitUplink(t, g.LAN, 0)
		g.awaitUnpinned(t, 1)
		wantEnded(t, "a host inside", inside)
		wantEnded(t, "the gateway", own)
		streams.wantEnded(t)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// The first uplink is removed, and the second one gets its id: the connections of the first one are ended, and those of the second one go on.
func TestConnectionsOfUplinkWhoseIDIsTakenAreEnded(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startBySecond(t, backend)
		second := g.startOutbound(t)
		g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
		g.Must(0, "reload")
		g.awaitUplink(t, g.LAN, 0)
		first := g.startOutbound(t)
		all := g.Uplinks
		g.Uplinks, g.replaced = all[1:], strings.NewReplacer("id = 2\n", "id = 1\n")
		g.outbound(balanced(`[["isp1"]]`)...)
		g.Uplinks = all
		g.Must(0, "reload")
		g.awaitUplink(t, g.LAN, 1)
		first.wantEnded(t)
		second.wantProgress(t, "in the end")
		g.wantNoForeign(t)
		s.Stop()
	})
}

// An uplink is removed from the configuration while no service runs. Doctor says what its connections are, which it counts among those of
// no other program, and what makes those that began inside go on.
func TestDoctorReportsConnectionsOfRemovedUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp1"], ["isp0"]]`)...)
		g.Gateway.ServeTCP(box.ServedPort)
		g.Apply()
		held := g.hold(t, g.LAN, 2)
		for _, to := range g.Uplinks[1].Addrs() {
			cs, err := g.Client.Connect(box.NewRequest(world.KindTCP, to), 2)
			if err != nil {
				t.Fatal(err)
			}
			defer cs.Close()
		}
		if d := g.RunDoctor(); len(d.Of("mark-of-removed-uplink")) > 0 {
			t.Errorf("it is still configured: %s", d)
		}
		g.removeSecond()
		g.Apply()
		d := g.RunDoctor()
		g.WantFinding(d, box.IsWarning, "mark-of-removed-uplink", "connections with mark 0x2200: 4, such as protocol 6 from ")
		g.WantFinding(d, box.IsWarning, "mark-bits-connections", "connections with mark 0x200: 4, such as protocol 6 from ", "these may be its connections")
		for _, f := range d.Of("mark-of-removed-uplink") {
			g.Shell(f.Commands...)
		}
		if d := g.RunDoctor(); len(d.Of("mark-of-removed-uplink")) > 0 {
			t.Errorf("after the remedy: %s", d)
		}
		wantEnded(t, "a host inside", held)
	})
}
