//go:build modules

package test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// Offloaded connections pass by chains and rules. The kernel asks for both their ways once, with the mark, and again when a
// route changes: so their replies go right, but are not counted.
func TestModulesOffloadedConnectionsStaySymmetric(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{Spoofable: true, Neighbours: []int{1}}), backend)
		u := b.Uplinks[1]
		b.newGateway(u)
		serveAll(b.LAN)
		b.forward(b.LAN4, b.LAN6)
		b.apply()
		if d := b.runDoctor(); len(d.of("flow-offload")) > 0 {
			t.Fatalf("before there is one: %s", d)
		}
		b.nft(fmt.Sprintf(shortcut, ""))
		b.wantFinding(b.runDoctor(), isNote, "flow-offload", "nft list flowtables: inet fast shortcut", "not counted")
		for _, to := range []netip.AddrPort{u.Port4(servedPort), u.Port6(servedPort)} {
			b.keepsItsWay(t, to, true)
		}
		b.nft("delete table inet fast")
		b.nft(fmt.Sprintf(shortcut, "ct mark & 0x1f00 == 0 "))
		for _, to := range []netip.AddrPort{u.Port4(servedPort), u.Port6(servedPort)} {
			b.keepsItsWay(t, to, false)
		}
		b.nft("delete table inet fast")
		if d := b.runDoctor(); len(d.of("flow-offload")) > 0 {
			t.Errorf("after it is gone: %s", d)
		}
	})
}

// keepsItsWay carries a connection through, and wants it to be offloaded or not, and all of its answers to leave by the
// second uplink, by its gateway, also when that is another one.
func (b *box) keepsItsWay(t *testing.T, to netip.AddrPort, offloaded bool) {
	t.Helper()
	u := b.Uplinks[1]
	b.configure(b.Uplinks...)
	b.apply()
	answer := repliesFrom(to.Addr())
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
	if is := strings.Contains(b.connections(to), "[OFFLOAD]"); is != offloaded {
		t.Errorf("offloaded: %t, want %t\n%s", is, offloaded, b.connections(to))
	}
	if n := detour.Count(answer); n > 0 {
		t.Errorf("%d answers went by another gateway", n)
	}
	b.gatewayOf(1, fmt.Sprintf("[%q, %q]", "192.0.2.77", "2001:db8:b::77"))
	b.apply()
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
func (b *box) newGateway(u *world.Uplink) {
	u.Neighbour.Forward()
	u.Neighbour.SetSysctl("net.ipv4.conf.all.send_redirects", "0")
	u.Neighbour.SetSysctl("net.ipv4.conf.eth0.send_redirects", "0")
	b.Gateway.SetSysctl("net.ipv4.conf.all.accept_redirects", "0")
	b.Gateway.SetSysctl("net.ipv6.conf.eth1.accept_redirects", "0")
}

func (b *box) nft(ruleset string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "ruleset")
	if err := os.WriteFile(file, []byte(ruleset), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Gateway.Run("nft", "-f", file)
}

// connections are the lines of the gateway's connections with that port of the service, of the family.
func (b *box) connections(to netip.AddrPort) (lines string) {
	var text []byte
	var err error
	b.Gateway.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/nf_conntrack") })
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, fmt.Sprintf("ipv%d", familyOf(to.Addr()))) && strings.Contains(line, fmt.Sprintf("dport=%d ", to.Port())) {
			lines += line + "\n"
		}
	}
	return lines
}

// A WireGuard server on the wildcard address answers by the ingress uplink, from the address that it was asked at.
func TestModulesWireGuardListenerRepliesByIngress(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{Spoofable: true}), backend)
		b.apply()
		if d := b.runDoctor(); len(d.of("wireguard-listener")) > 0 {
			t.Fatalf("before there is one: %s", d)
		}
		server := newPeer(b.Gateway, "wg0")
		server.link.Addr("198.18.100.1/24")
		b.wantFinding(b.runDoctor(), isNote, "wireguard-listener", "wg0", "udp 0.0.0.0 port 51820", "udp :: port 51820", "nothing")
		p := b.watchClient()
		for _, to := range b.Uplinks[1].Addrs() {
			client := newPeer(b.Client, "wg0")
			client.link.Addr("198.18.100.2/24")
			server.join(client, "")
			client.join(server, netip.AddrPortFrom(to, 51820).String())
			if a := b.Client.Ping(netip.MustParseAddr("198.18.100.1")); !a.OK {
				t.Errorf("through the tunnel to %s: %v", to, a)
			}
			p.Settle()
			p.wantSymmetric(t, b.Uplinks[1], to, 2) // of the handshake, and of the ping
			client.link.Delete()
		}
		server.link.Delete()
		if d := b.runDoctor(); len(d.of("wireguard-listener")) > 0 {
			t.Errorf("after it is gone: %s", d)
		}
	})
}
