package outbound

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A rule for the id of a tunnel chooses for the packets that come in by it, and not for those of another tunnel of the same interface.
func TestTunnelChooses(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, `default = "isp0"`, `masquerade = "both"`, "[outbound.rules.tunnel]", "tun_id = 77", `use = "isp1"`)
		g.Gateway.Run("ip", "link", "add", "vx0", "address", "02:00:00:00:77:00", "type", "vxlan", "external", "dstport", "4789")
		g.Gateway.Run("ip", "link", "set", "vx0", "up")
		for id, network := range tunnelNetworks {
			g.Gateway.Run("ip", "addr", "add", fmt.Sprintf(network[0], 1)+"/24", "dev", "vx0")
			g.Gateway.Run("ip", "addr", "add", fmt.Sprintf(network[1], 1)+"/64", "dev", "vx0", "nodad")
			link := fmt.Sprint("vx", id)
			g.LAN.Run("ip", "link", "add", link, "type", "vxlan", "id", fmt.Sprint(id), "remote", "198.18.0.1", "dstport", "4789")
			g.LAN.Run("ip", "link", "set", link, "up")
			g.LAN.Run("ip", "addr", "add", fmt.Sprintf(network[0], 2)+"/24", "dev", link)
			g.LAN.Run("ip", "addr", "add", fmt.Sprintf(network[1], 2)+"/64", "dev", link, "nodad")
			for _, of := range network {
				g.LAN.Run("ip", "neigh", "add", fmt.Sprintf(of, 1), "lladdr", "02:00:00:00:77:00", "dev", link)
			}
		}
		g.Apply()
		for id, uplink := range map[int]int{77: 1, 78: 0} {
			for i, to := range g.servers() {
				network := tunnelNetworks[id][i]
				g.LAN.Run("ip", "route", "replace", to.String(), "via", fmt.Sprintf(network, 1), "dev", fmt.Sprint("vx", id))
				if by := g.leavesBy(t, netip.MustParseAddr(fmt.Sprintf(network, 2)), to); by != fmt.Sprint("isp", uplink) {
					t.Errorf("from tunnel %d to %s: leaves by %s, want isp%d", id, to, by, uplink)
				}
			}
		}
		g.wantNoForeign(t)
	})
}

// tunnelNetworks are the networks in the tunnels, by their id.
var tunnelNetworks = map[int][2]string{77: {"198.18.77.%d", "2001:db8:77::%d"}, 78: {"198.18.78.%d", "2001:db8:78::%d"}}

// leavesBy sends datagrams from an address of the LAN's host, of which no answer comes back, and returns the uplinks by which they reach
// their ISP with the uplink's source.
func (g *gateway) leavesBy(t *testing.T, from, to netip.Addr) string {
	t.Helper()
	arrived := make([]*world.Recorder, len(g.Uplinks))
	for i, u := range g.Uplinks {
		arrived[i] = u.Wire.Record(func(p world.Packet) bool {
			return p.Dir == world.In && p.To(to) && p.Proto == world.UDP && u.Has(p.Src) && p.DstPort == box.ClosedPort
		})
	}
	var by []string
	box.Eventually(t, box.EventualTimeout, fmt.Sprintf("datagrams from %s to %s arrive", from, to), func() bool {
		g.sendFrom(t, from, netip.AddrPortFrom(to, box.ClosedPort), 3)
		g.Settle()
		by = nil
		for i, r := range arrived {
			if len(r.Packets()) > 0 {
				by = append(by, fmt.Sprint("isp", i))
			}
		}
		return by != nil
	})
	return strings.Join(by, ", ")
}
