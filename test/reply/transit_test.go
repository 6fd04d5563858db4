package reply

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// Networks behind two uplinks may reach each other by way of the gateway, as a management network does the Internet.
// A request that came in by the second uplink wears its mark while it passes, and the mark's table knows no way but
// back. So for what just came in by the uplink itself the rule "iif <uplink> fwmark <its mark> goto" leads past the
// table, to main: only what answers the request follows the mark.
func TestTransitFromOneUplinkToAnother(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, rpFilter := range []int{0, 1, 2} {
			c := box.Conditions{RPFilter: rpFilter}
			t.Run(c.String(), func(t *testing.T) {
				b, _, there := newTransit(t, c, backend)
				passes(t, b, there)
				b.Apply()
				passes(t, b, there)
			})
		}
	})
}

func TestTransitBouncesWithoutItsRule(t *testing.T) {
	t.Parallel()
	b, here, there := newTransit(t, box.Conditions{RPFilter: 1}, box.Backends[0])
	// A host that bounces a packet sends a redirect, which would outlive the repair.
	for _, key := range []string{"net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.eth0.accept_redirects", "net.ipv6.conf.eth0.accept_redirects"} {
		b.Uplinks[1].Neighbour.SetSysctl(key, "0")
	}
	b.Apply()
	passes(t, b, there)
	for i, version := range []string{"-4", "-6"} {
		b.Gateway.Run("ip", version, "rule", "del", "iif", "eth1", "fwmark", "0x200/0x1f00", "protocol", "82")
		wire := b.Uplinks[1].Wire.Record()
		q := box.NewRequest(world.KindUDP, there[i])
		q.Timeout = 300 * time.Millisecond
		if a := b.Uplinks[1].Neighbour.Send(q); a.OK {
			t.Errorf("without the rule: %v", a)
		}
		bounced := func(p world.Packet) bool { return p.Dir == world.In && p.From(here[i]) && p.To(there[i]) }
		if _, err := wire.Wait(t.Context(), bounced); err != nil {
			t.Errorf("the question did not bounce: %v", err)
		}
	}
	b.Apply()
	passes(t, b, there)
}

// Without our rules transit is right, by main alone. While they come back there must be no moment in which a mark leads
// to its table and nothing leads past it.
func TestTransitDoesNotBounceWhileRulesAreRepaired(t *testing.T) {
	t.Parallel()
	b, here, there := newTransit(t, box.Conditions{RPFilter: 1}, box.Backends[0])
	b.Apply()
	for i, family := range []int{4, 6} {
		b.Iptables(family, "-I", "FORWARD", "-i", "eth1", "-o", "eth1")
		flood(t, b, netip.AddrPortFrom(here[i], box.ClosedPort), netip.AddrPortFrom(there[i], box.ClosedPort))
	}
	for range 5 {
		for _, version := range []string{"-4", "-6"} {
			b.Gateway.Run("ip", version, "rule", "del", "pref", "2003", "lookup", "8202")
			b.Gateway.Run("ip", version, "rule", "flush", "protocol", "82")
		}
		b.Must(0, "apply")
	}
	for _, family := range []int{4, 6} {
		if counted := b.Iptables(family, "-S", "FORWARD", "1", "-v"); !strings.Contains(counted, "-c 0 0") {
			t.Errorf("packets on their way through bounced: %s", counted)
		}
	}
}

// flood sends datagrams from behind the second uplink to behind the first, as fast as it can, until the test ends.
func flood(t *testing.T, b *box.Box, from, to netip.AddrPort) {
	t.Helper()
	var sink *net.UDPConn
	var err error
	b.Uplinks[0].Neighbour.Do(func() { sink, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(to)) })
	if err != nil {
		t.Fatal(err)
	}
	source := b.Connected(b.Uplinks[1].Neighbour, from, to)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := source.Write([]byte{0}); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	t.Cleanup(func() {
		source.Close()
		<-ended
		sink.Close()
	})
}

// A network behind the second uplink reaches the Internet by the first, in the first's name.
func TestMasqueradedTransit(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, rpFilter := range []int{0, 1} {
			c := box.Conditions{RPFilter: rpFilter}
			t.Run(c.String(), func(t *testing.T) {
				b, _, _ := newTransit(t, c, backend)
				for _, family := range []int{4, 6} {
					b.Iptables(family, "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE")
				}
				box.ServeAll(b.Client)
				there := []netip.Addr{b.Client4, b.Client6}
				passes(t, b, there)
				b.Apply()
				passes(t, b, there)
			})
		}
	})
}

// newTransit returns a box between two uplinks' neighbours, the first addresses of which are here by the second uplink, and
// there by the first.
func newTransit(t *testing.T, c box.Conditions, backend string) (b *box.Box, here, there []netip.Addr) {
	t.Helper()
	b = box.New(t, c.Build(t, 2, world.Options{Neighbours: []int{0, 1}}), backend)
	box.ServeAll(b.Gateway)
	for i, u := range b.Uplinks {
		box.ServeAll(u.Neighbour)
		link := u.Neighbour.Link("eth0")
		other := b.Uplinks[1-i]
		routes := []world.Route{
			{To: other.Prefix4, Via: u.Addr4, Link: link},
			{To: other.Prefix6, Via: u.Addr6, Link: link},
		}
		if i == 1 {
			routes = append(routes,
				world.Route{To: netip.PrefixFrom(b.Client4, 32), Via: u.Addr4, Link: link},
				world.Route{To: netip.PrefixFrom(b.Client6, 128), Via: u.Addr6, Link: link})
		}
		for _, r := range routes {
			u.Neighbour.AddRoute(r)
		}
	}
	return b, neighbour(b.Uplinks[1]), neighbour(b.Uplinks[0])
}

// neighbour returns the addresses of the host in an uplink's own network.
func neighbour(u *world.Uplink) []netip.Addr {
	four, six := u.Prefix4.Addr().As4(), u.Prefix6.Addr().As16()
	four[3], six[15] = 77, 0x77
	return []netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six)}
}

// passes wants replies to requests of all kinds from behind the second uplink.
func passes(t *testing.T, b *box.Box, there []netip.Addr) {
	t.Helper()
	for _, to := range there {
		box.WantReplies(t, b.Uplinks[1].Neighbour, to, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing, world.KindClosedTCP, world.KindClosedUDP})
	}
}
