//go:build modules

package doctor

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// shortcut offloads established connections that are forwarded.
const shortcut = `table inet fast {
	flowtable shortcut {
		hook ingress priority 0
		devices = { eth0, eth1, lan0 }
	}
	chain forward {
		type filter hook forward priority 0
		%sct state established flow add @shortcut
	}
}
`

// Offloaded connections pass by chains and rules. The kernel looks up both directions once, with the mark, and again when a
// route changes: so their replies go right, but are not counted.
func TestModulesOffloadedConnectionsStaySymmetric(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{Spoofable: true, Neighbours: []int{1}}), backend)
		u := b.Uplinks[1]
		newGateway(b, u)
		box.ServeAll(b.LAN)
		b.AddDNAT(b.LAN4, b.LAN6)
		b.Apply()
		if d := b.RunDoctor(); len(d.Of("flow-offload")) > 0 {
			t.Fatalf("before there is one: %s", d)
		}
		nft(b, fmt.Sprintf(shortcut, ""))
		b.WantFinding(b.RunDoctor(), box.IsNote, "flow-offload", "nft list flowtables: inet fast shortcut", "not counted")
		for _, to := range []netip.AddrPort{u.Port4(box.ServedPort), u.Port6(box.ServedPort)} {
			keepsItsWay(t, b, to, true)
		}
		nft(b, "delete table inet fast")
		nft(b, fmt.Sprintf(shortcut, "ct mark & 0x1f00 == 0 "))
		for _, to := range []netip.AddrPort{u.Port4(box.ServedPort), u.Port6(box.ServedPort)} {
			keepsItsWay(t, b, to, false)
		}
		nft(b, "delete table inet fast")
		if d := b.RunDoctor(); len(d.Of("flow-offload")) > 0 {
			t.Errorf("after it is gone: %s", d)
		}
	})
}

// keepsItsWay carries a connection through, and wants it to be offloaded or not, and all of its answers to leave by the
// second uplink, by its gateway, also when that is another one.
func keepsItsWay(t *testing.T, b *box.Box, to netip.AddrPort, offloaded bool) {
	t.Helper()
	u := b.Uplinks[1]
	b.Configure(b.Uplinks...)
	b.Apply()
	answer := box.RepliesFrom(to.Addr())
	strays := b.Uplinks[0].ClientLink.Record(answer)
	detour := u.Neighbour.Link("eth0").Record(func(p world.Packet) bool { return p.Dir == world.In && p.From(to.Addr()) })
	s, err := b.Client.Stream(world.Request{Kind: world.KindTCP, To: to, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	carries := func(what string) {
		if err := s.Await(t.Context(), 1<<20); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	carries("from the beginning")
	if is := strings.Contains(connections(b, to), "[OFFLOAD]"); is != offloaded {
		t.Errorf("offloaded: %t, want %t\n%s", is, offloaded, connections(b, to))
	}
	if n := detour.Count(answer); n > 0 {
		t.Errorf("%d answers went by another gateway", n)
	}
	b.GatewayOf(1, fmt.Sprintf("[%q, %q]", "192.0.2.77", "2001:db8:b::77"))
	b.Apply()
	detour.Reset()
	carries("by another gateway")
	if _, err := detour.Wait(t.Context(), answer); err != nil {
		t.Errorf("with another gateway: %v", err)
	}
	if n := strays.Count(answer); n > 0 {
		t.Errorf("%d answers from %s left by eth0", n, to)
	}
}

// newGateway makes the uplink's neighbour another way to the Internet.
func newGateway(b *box.Box, u *world.Uplink) {
	u.Neighbour.Forward()
	u.Neighbour.SetSysctl("net.ipv4.conf.all.send_redirects", "0")
	u.Neighbour.SetSysctl("net.ipv4.conf.eth0.send_redirects", "0")
	b.Gateway.SetSysctl("net.ipv4.conf.all.accept_redirects", "0")
	b.Gateway.SetSysctl("net.ipv6.conf.eth1.accept_redirects", "0")
}

func nft(b *box.Box, ruleset string) {
	b.T.Helper()
	file := filepath.Join(b.T.TempDir(), "ruleset")
	if err := os.WriteFile(file, []byte(ruleset), 0o600); err != nil {
		b.T.Fatal(err)
	}
	b.Gateway.Run("nft", "-f", file)
}

// connections returns the lines of the gateway's connections with that port of the service, of the family.
func connections(b *box.Box, to netip.AddrPort) (lines string) {
	var text []byte
	var err error
	b.Gateway.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/nf_conntrack") })
	if err != nil {
		b.T.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, fmt.Sprintf("ipv%d", box.FamilyOf(to.Addr()))) && strings.Contains(line, fmt.Sprintf("dport=%d ", to.Port())) {
			lines += line + "\n"
		}
	}
	return lines
}

// A WireGuard server on the wildcard address replies by the ingress uplink, from the destination of the request.
func TestModulesWireGuardListenerRepliesByIngress(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{Spoofable: true}), backend)
		b.Apply()
		if d := b.RunDoctor(); len(d.Of("wireguard-listener")) > 0 {
			t.Fatalf("before there is one: %s", d)
		}
		server := box.NewPeer(b.Gateway, "wg0")
		server.Link.Addr("198.18.100.1/24")
		b.WantFinding(b.RunDoctor(), box.IsNote, "wireguard-listener", "wg0", "udp 0.0.0.0 port 51820", "udp :: port 51820", "none needed")
		p := b.RecordAtClient()
		for _, to := range b.Uplinks[1].Addrs() {
			client := box.NewPeer(b.Client, "wg0")
			client.Link.Addr("198.18.100.2/24")
			server.Join(client, "")
			client.Join(server, netip.AddrPortFrom(to, 51820).String())
			if a := b.Client.Ping(netip.MustParseAddr("198.18.100.1")); !a.OK {
				t.Errorf("through the tunnel to %s: %v", to, a)
			}
			p.Settle()
			p.WantSymmetric(t, b.Uplinks[1], to, 2) // of the handshake, and of the ping
			client.Link.Delete()
		}
		server.Link.Delete()
		if d := b.RunDoctor(); len(d.Of("wireguard-listener")) > 0 {
			t.Errorf("after it is gone: %s", d)
		}
	})
}
