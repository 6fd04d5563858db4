//go:build modules

package outbound

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// protoESP is the protocol number of ESP (RFC 4303).
const protoESP = 50

// What an IPsec policy takes keeps its source, beside connections that are translated, and by an xfrm interface too. A kernel with ESP is
// needed: make test-boot QEMU=1 boots Debian's.
func TestModulesIPsecKeepsSources(t *testing.T) { wantIPsec(t, false) }

// It passes filters at egress (TCX, Linux 6.6).
func TestRecentKernelIPsecPassesTheFilters(t *testing.T) { wantIPsec(t, true) }

func wantIPsec(t *testing.T, filters bool) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		far := g.tunnel()
		g.Apply()
		if pins := g.Gateway.Pins("egress", "link_"); filters && len(pins) != 2 {
			t.Fatalf("the filters are %v", pins)
		}
		g.wantTunnelled(t, far)
		g.xfrmInterface(far)
		g.Apply()
		g.wantTunnelled(t, far)
		g.wantNoForeign(t)
	})
}

// tunnelEnds are the two ends of a tunnel of a family: addresses, and the networks behind them.
type tunnelEnds struct {
	near, far       netip.Addr
	inside, outside netip.Prefix
}

// addStates adds the keys of both directions to a host.
func (e tunnelEnds) addStates(h *world.Host, more ...string) {
	for spi, way := range [][2]netip.Addr{{e.near, e.far}, {e.far, e.near}} {
		h.Run("ip", append([]string{"xfrm", "state", "add", "src", way[0].String(), "dst", way[1].String(), "proto", "esp", "spi", fmt.Sprint(0x100 + spi), "mode", "tunnel",
			"auth", "hmac(sha256)", fmt.Sprintf("0x%064x", spi+1), "enc", "cbc(aes)", fmt.Sprintf("0x%032x", spi+1)}, more...)...)
	}
}

// tunnel makes IPsec tunnels between the first uplink's address and the client, to the LAN, and returns their ends.
func (g *gateway) tunnel() []tunnelEnds {
	g.T.Helper()
	u := g.Uplinks[0]
	ends := []tunnelEnds{
		{u.Addr4, g.Client4, netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("203.0.113.200/32")},
		{u.Addr6, g.Client6, netip.MustParsePrefix("2001:db8:f::/64"), netip.MustParsePrefix("2001:db8:c:1::200/128")},
	}
	for i, e := range ends {
		g.Client.Run("ip", append([]string{"addr", "add", e.outside.String(), "dev", "lo"}, []string{"nodad"}[:i]...)...)
		via := []netip.Addr{u.Router4, u.RouterLL}[i]
		g.Client.AddRoute(world.Route{To: e.inside, Via: via, Link: u.ClientLink, Src: e.outside.Addr()})
		for _, h := range []*world.Host{g.Gateway, g.Client} {
			e.addStates(h)
		}
		e.addPolicies(g.Gateway, "out", []string{"in", "fwd"})
		e.addPolicies(g.Client, "in", []string{"out"})
	}
	return ends
}

// addPolicies adds the policies of a host, whose directions are to for what goes to the far end, and from for what comes from there.
func (e tunnelEnds) addPolicies(h *world.Host, to string, from []string, more ...string) {
	add := func(dir string, inner [2]netip.Prefix, outer [2]netip.Addr) {
		h.Run("ip", slices.Concat([]string{"xfrm", "policy", "add", "src", inner[0].String(), "dst", inner[1].String(), "dir", dir}, more,
			[]string{"tmpl", "src", outer[0].String(), "dst", outer[1].String(), "proto", "esp", "mode", "tunnel"})...)
	}
	add(to, [2]netip.Prefix{e.inside, e.outside}, [2]netip.Addr{e.near, e.far})
	for _, dir := range from {
		add(dir, [2]netip.Prefix{e.outside, e.inside}, [2]netip.Addr{e.far, e.near})
	}
}

// xfrmInterface puts an xfrm interface, with a route, in place of the policies of the gateway.
func (g *gateway) xfrmInterface(ends []tunnelEnds) {
	g.T.Helper()
	g.Gateway.Run("ip", "xfrm", "policy", "flush")
	g.Gateway.Run("ip", "xfrm", "state", "flush")
	box.AddLink(g.Gateway, "ipsec0", "type", "xfrm", "dev", g.Uplinks[0].Link.Name, "if_id", "7")
	for _, e := range ends {
		e.addStates(g.Gateway, "if_id", "7")
		e.addPolicies(g.Gateway, "out", []string{"in", "fwd"}, "if_id", "7")
		g.Gateway.Run("ip", "route", "add", e.outside.String(), "dev", "ipsec0")
	}
}

// wantTunnelled wants that connections from the LAN through the tunnel keep their source, and none of their
// packets is on the wire as it is, while others to the same host are translated, and that the LAN answers through the tunnel.
func (g *gateway) wantTunnelled(t *testing.T, ends []tunnelEnds) {
	t.Helper()
	for i, e := range ends {
		to, lan := e.outside.Addr(), []netip.Addr{g.LAN4, g.LAN6}[i]
		wire := g.Uplinks[0].Wire.Record()
		for _, kind := range []world.Kind{world.KindUDP, world.KindTCP} {
			q := box.NewRequest(kind, to)
			q.Timeout = box.EventualTimeout
			if a := g.LAN.Send(q); !a.OK || a.Peer.Addr() != lan {
				t.Errorf("%s through the tunnel to %s: the server saw %s: %v", kind, to, a.Peer, a)
			}
			g.send(t, g.LAN, kind, g.servers()[i], 2)
		}
		if a := g.Client.Send(world.Request{Kind: world.KindPing, To: netip.AddrPortFrom(lan, 0), Timeout: box.EventualTimeout}); !a.OK {
			t.Errorf("ping through the tunnel to %s: %v", lan, a)
		}
		g.Settle()
		encrypted := wire.Count(func(p world.Packet) bool { return p.Proto == protoESP && p.Src == e.near && p.Dst == e.far })
		plain := wire.Count(func(p world.Packet) bool { return p.Src == lan || p.Dst == to || p.Src == to })
		if encrypted == 0 || plain != 0 {
			t.Errorf("to %s: %d packets of ESP and %d of the LAN on the wire", to, encrypted, plain)
		}
	}
}
