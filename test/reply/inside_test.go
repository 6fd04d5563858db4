package reply

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// Addresses of the second uplink's own networks that are routed to the LAN host, without translation.
var (
	inside4 = netip.MustParsePrefix("192.0.2.77/32")
	inside6 = netip.MustParsePrefix("2001:db8:b::77/128")
)

// Connection tracking is lost, as by a reboot, and the server in the LAN speaks first: its words leave by the first uplink,
// which drops them. What the client sends is then the reply direction of that connection, and must heal the conversation.
func TestServerInsideSpeaksFirstAfterLossOfConnectionTracking(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, rpFilter := range []int{0, 1, 2} {
			c := box.Conditions{RPFilter: rpFilter}
			t.Run(c.String(), func(t *testing.T) {
				b := newInside(t, c, backend)
				b.Apply()
				for _, server := range []netip.Prefix{inside4, inside6} {
					healsDatagrams(b, t, server.Addr())
					healsStream(b, t, server.Addr())
				}
				for _, u := range b.Uplinks {
					for _, family := range []int{4, 6} {
						if n := replyCounters(b, family, u.Index+1); n[1] != 0 {
							t.Errorf("%s, IPv%d: %d packets are counted as stray replies", u.Link.Name, family, n[1])
						}
					}
				}
			})
		}
	})
}

func newInside(t *testing.T, c box.Conditions, backend string) *box.Box {
	t.Helper()
	b := box.New(t, c.Build(t, 2, world.Options{}), backend)
	b.LAN.Link("eth0").Addr(inside4.String(), inside6.String())
	for _, p := range []netip.Prefix{inside4, inside6} {
		b.Carry(b.Uplinks[1], p)
		b.Gateway.AddRoute(world.Route{To: p, Link: b.LANLink})
	}
	return b
}

// forget empties the gateway's connection tracking.
func forget(b *box.Box) { b.Gateway.Run("conntrack", "-F") }

func healsDatagrams(b *box.Box, t *testing.T, at netip.Addr) {
	t.Helper()
	client, server := netip.AddrPortFrom(b.ClientAddr(at), b.ClientPort()), netip.AddrPortFrom(at, box.ServedPort)
	inside, outside := b.Connected(b.LAN, server, client), b.Connected(b.Client, client, server)
	b.Echo(inside)
	if err := box.Exchange(outside); err != nil {
		t.Fatalf("UDP to %s: %v", server, err)
	}
	forget(b)
	strays := b.Uplinks[0].Refused.Record(box.Stray)
	if _, err := inside.Write([]byte("first word")); err != nil {
		t.Fatal(err)
	}
	if _, err := strays.Wait(t.Context(), func(p world.Packet) bool { return p.From(at) && p.Proto == world.UDP }); err != nil {
		t.Fatalf("the first word of %s did not stray: the test proves nothing: %v", server, err)
	}
	if err := box.Exchange(outside); err != nil {
		t.Errorf("UDP to %s after its first word: %v", server, err)
	}
}

func healsStream(b *box.Box, t *testing.T, at netip.Addr) {
	t.Helper()
	server := netip.AddrPortFrom(at, box.ServedPort)
	var listener net.Listener
	var outside net.Conn
	var err error
	if b.LAN.Do(func() { listener, err = net.Listen("tcp", server.String()) }); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(b.ClientAddr(at), b.ClientPort()))
	if b.Client.Do(func() {
		outside, err = (&net.Dialer{Timeout: box.EventualTimeout, LocalAddr: local}).DialContext(t.Context(), "tcp", server.String())
	}); err != nil {
		t.Fatalf("TCP to %s: %v", server, err)
	}
	defer outside.Close()
	inside, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	forget(b)
	strays := b.Uplinks[0].Refused.Record(box.Stray)
	if _, err := inside.Write([]byte("first word")); err != nil {
		t.Fatal(err)
	}
	if _, err := strays.Wait(t.Context(), func(p world.Packet) bool { return p.From(at) && p.Proto == world.TCP }); err != nil {
		t.Fatalf("the first word of %s did not stray: the test proves nothing: %v", server, err)
	}
	if _, err := outside.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if err := outside.SetReadDeadline(time.Now().Add(box.EventualTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := outside.Read(make([]byte, 16)); err != nil {
		t.Errorf("TCP to %s after its first word: %v", server, err)
	}
}

// The rules follow the routes to hosts inside, and hosts without such routes have none.
func TestInsideChainFollowsRoutes(t *testing.T) {
	t.Parallel()
	b := newInside(t, box.Conditions{RPFilter: 1}, box.Backends[0])
	b.Start()
	has := func(family int, want string) func() bool {
		return func() bool {
			return strings.Contains(b.Iptables(family, "-w", "-t", "mangle", "-S"), "-A REPLYPATH-INSIDE -i eth1 -m conntrack --ctrepldst "+want)
		}
	}
	gone := func(family int) func() bool {
		return func() bool {
			return !strings.Contains(b.Iptables(family, "-w", "-t", "mangle", "-S"), "REPLYPATH-INSIDE")
		}
	}
	box.Eventually(t, box.EventualTimeout, "an IPv4 rule", has(4, "192.0.2.77 "))
	box.Eventually(t, box.EventualTimeout, "an IPv6 rule", has(6, "2001:db8:b::77 "))
	b.Shell("ip route add 192.0.2.64/28 dev lan0", "ip route del 192.0.2.77 dev lan0", "ip -6 route del 2001:db8:b::77 dev lan0")
	box.Eventually(t, box.EventualTimeout, "the rule of another network", has(4, "192.0.2.64/28 "))
	box.Eventually(t, box.EventualTimeout, "no IPv6 rule", gone(6))
	b.Shell("ip route del 192.0.2.64/28 dev lan0")
	box.Eventually(t, box.EventualTimeout, "no IPv4 rule", gone(4))
	b.AwaitInSync()
}
