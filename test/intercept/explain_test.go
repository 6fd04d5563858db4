package intercept

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// What explain says is what the packets do.
func TestExplainWalksInterception(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 1}, box.Backends[0], true)
	p.startProxies()
	p.Apply()
	bound := func(in string, from, to netip.Addr, proto string, port int) []string {
		return []string{"--in", in, "--from", from.String(), "--proto", proto, "--dport", fmt.Sprint(port), to.String()}
	}
	lan, client := []netip.Addr{p.LAN4, p.LAN6}, []netip.Addr{p.Client4, p.Client6}
	gateway := []string{"198.18.0.1", "2001:db8:f::1"}
	for i, family := range []string{"IPv4", "IPv6"} {
		u := p.Uplinks[1]
		p.Explain(t, 0, bound("lan0", lan[i], client[i], "tcp", webPort),
			"intercepted: by out: packet and connection get the mark 0x10, to the proxy on tcp port 50090 in "+family,
			"> 1998 replypath", "fwmark 0x10/0x10 lookup 8200", "local", "kernel: agrees", "it is delivered to the proxy on port 50090 of this host (intercept out)")
		p.Explain(t, 0, bound(u.Link.Name, client[i], u.Addrs()[i], "tcp", webPort), "it is delivered to the proxy on port 50080 of this host (intercept in)")
		p.Explain(t, 0, bound(u.Link.Name, client[i], u.Addrs()[i], "udp", dnsPort), "it is delivered to the proxy on port 50053 of this host (intercept in_dns)")
		p.Explain(t, 0, append(bound("lan0", lan[i], client[i], "tcp", webPort), "--json"), `"intercept": "out"`, `"port": 50090`, `"taken": true`, `"state": "listening"`)
		for _, passed := range [][]string{
			bound("lan0", lan[i], client[i], "tcp", notIntercepted), bound("lan0", lan[i], client[i], "udp", webPort),
			bound("lan0", lan[i], netip.MustParseAddr(gateway[i]), "tcp", webPort),
		} {
			if output := p.Explain(t, 0, passed); strings.Contains(output, "proxy") || strings.Contains(output, "intercept") {
				t.Errorf("%v:\n%s", passed, output)
			}
		}
	}
	p.out.close()
	p.Explain(t, 0, bound("lan0", p.LAN4, p.Client4, "tcp", webPort), "intercepted: not by out, as no program listens on tcp port 50090 in IPv4: it passes", "it leaves by eth0 (uplink isp0)")
	p.Gateway.ServeTCP(outPort)
	p.Explain(t, 0, bound("lan0", p.LAN4, p.Client4, "tcp", webPort), "whose socket on tcp port 50090 in IPv4 lacks IP_TRANSPARENT: it passes")
	p.Settings[1] = strings.Replace(interceptSettings, "[intercept.out]", "[intercept.out]\nwithout = \"drop\"", 1)
	p.Configure(p.Uplinks...)
	p.Explain(t, 3, bound("lan0", p.LAN4, p.Client4, "tcp", webPort), "it is dropped: no proxy of intercept out takes it")
}

// A connection through a proxy is two: one that the proxy has taken, and its own with the address of the client.
func TestExplainFlowNamesTheProxy(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 1}, box.Nftables, true)
	p.startProxies()
	p.Apply()
	u := p.Uplinks[1]
	for i, to := range u.Addrs() {
		held, err := p.Client.Connect(world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(to, webPort)}, 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(held.Close)
		list := func(by ...string) []string {
			line := strings.TrimSpace(p.Gateway.Run("conntrack", append([]string{"-L", "-f", fmt.Sprintf("ipv%d", box.FamilyOf(to)), "-p", "tcp"}, by...)...))
			return append([]string{"--flow"}, strings.Fields(line)...)
		}
		family := []string{"IPv4", "IPv6"}[i]
		p.Explain(t, 0, list("--orig-dst", to.String()), "intercepted: by in, the proxy on tcp port 50080 in "+family+" has taken it", "its replies:",
			"it leaves by eth1 (uplink isp1), selected by its mark 0x200", "right: they leave by the connection's uplink")
		p.Explain(t, 0, list("--orig-dst", []netip.Addr{p.LAN4, p.LAN6}[i].String(), "--orig-src", p.ClientAddr(to).String()), "opened by this host; its packets:", "it leaves by lan0")
	}
}
