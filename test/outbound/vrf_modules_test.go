//go:build modules

package outbound

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A rule with l3mdev chooses for what comes in by a link in a VRF, and for nothing else. The VRF has no default route, so that its
// packets meet the rules behind that of the kernel; main has the way back to its network. A kernel with VRFs is needed: make test-modules
// boots Debian's.
func TestModulesVRFChooses(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, `default = "isp0"`, `masquerade = "both"`, "[outbound.rules.vrf]", "l3mdev = true", `use = "isp1"`)
		red := g.hostInVRF(t)
		g.Apply()
		for _, to := range g.servers() {
			for _, kind := range []world.Kind{world.KindUDP, world.KindTCP} {
				for from, uplink := range map[*world.Host]int{red: 1, g.LAN: 0, g.Gateway: 0} {
					if share := g.send(t, from, kind, to, 3); share[uplink] != 3 {
						t.Errorf("%s from %s to %s: %v by each uplink, want 3 by isp%d", kind, from.Name, to, share, uplink)
					}
				}
			}
		}
		g.outbound(`default = "isp0"`, `masquerade = "both"`)
		g.Apply()
		for _, to := range g.servers() {
			if share := g.send(t, red, world.KindUDP, to, 3); share[0] != 3 {
				t.Errorf("without the rule, from %s to %s: %v by each uplink", red.Name, to, share)
			}
		}
		g.wantNoForeign(t)
	})
}

// hostInVRF returns a host behind a link of the gateway that is in a VRF.
func (g *gateway) hostInVRF(t *testing.T) *world.Host {
	t.Helper()
	red := g.Host("red")
	inside, outside := g.Join(g.Gateway, "red0", red, "eth0")
	box.AddLink(g.Gateway, "vrf77", "type", "vrf", "table", "77")
	g.Gateway.Run("ip", "link", "set", inside.Name, "master", "vrf77")
	inside.Addr("198.18.77.1/24", "2001:db8:77::1/64") // the kernel takes IPv6 addresses when a link goes into a VRF
	outside.Addr("198.18.77.2/24", "2001:db8:77::2/64")
	for family, networks := range map[string][2]string{"-4": {"198.18.77.0/24", "198.18.77.1"}, "-6": {"2001:db8:77::/64", "2001:db8:77::1"}} {
		red.Run("ip", family, "route", "add", "default", "via", networks[1], "dev", outside.Name)
		g.Gateway.Run("ip", family, "route", "add", networks[0], "dev", inside.Name)
		if text := g.Gateway.Run("ip", family, "route", "show", "table", "77", "default"); text != "" {
			t.Fatalf("the VRF has a default route: %s", text)
		}
	}
	return red
}
