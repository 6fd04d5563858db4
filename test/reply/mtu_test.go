package reply

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The first route look-up of a connection decides the MSS, before OUTPUT can send the packet elsewhere.
func TestMSSIsThatOfTheIngressUplink(t *testing.T) {
	t.Parallel()
	want := map[string]int{"192.0.2.2": 1360, "2001:db8:b::2": 1340, "198.51.100.2": 1460, "2001:db8:a::2": 1440}
	for _, noDefault := range []bool{false, true} {
		c := box.Conditions{RPFilter: 1, NoDefault: noDefault}
		t.Run(c.String(), func(t *testing.T) {
			w := c.Build(t, 2, world.Options{})
			w.Uplinks[1].Link.MTU(1400)
			b := box.New(t, w)
			b.Gateway.ServeTCP(box.ServedPort)
			b.Apply()
			for _, u := range b.Uplinks {
				for _, to := range u.Addrs() {
					wire := u.Wire.Record()
					box.WantReplies(t, b.Client, to, []world.Kind{world.KindTCP})
					p, err := wire.Wait(t.Context(), func(p world.Packet) bool { return p.From(to) && p.Flags.Is(world.SYN|world.ACK) })
					if err != nil {
						t.Fatal(err)
					}
					if p.MSS != want[to.String()] {
						t.Errorf("%s by %s has MSS %d, not %d", p, u.Link.Name, p.MSS, want[to.String()])
					}
				}
			}
		})
	}
}

// What main's default route by an uplink's gateway says of the path holds for its replies too, whether the gateway is
// configured or learnt from that route.
func TestMSSIsThatOfMainsDefaultRouteByTheGateway(t *testing.T) {
	t.Parallel()
	for name, gateway := range map[string]string{"a configured gateway": `["192.0.2.1", "2001:db8:b::1"]`, "a learnt gateway": box.AutoGateways} {
		t.Run(name, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
			b.GatewayOf(1, gateway)
			b.Gateway.ServeTCP(box.ServedPort)
			const metrics = " mtu lock 1400 advmss 1300 rtt 80ms initcwnd 20 initrwnd 30 features ecn rto_min 40ms quickack 1 hoplimit 77 congctl reno"
			b.Shell("ip route add default via 192.0.2.1 dev eth1 metric 700"+metrics, "ip -6 route add default via 2001:db8:b::1 dev eth1 metric 2000"+metrics)
			b.Apply()
			for _, to := range b.Uplinks[1].Addrs() {
				wire := b.Uplinks[1].Wire.Record()
				box.WantReplies(t, b.Client, to, []world.Kind{world.KindTCP})
				p, err := wire.Wait(t.Context(), func(p world.Packet) bool { return p.From(to) && p.Flags.Is(world.SYN|world.ACK) })
				if err != nil || p.MSS != 1300 {
					t.Errorf("%s from %s has MSS %d, not 1300: %v", p, to, p.MSS, err)
				}
			}
			for _, family := range []string{"-4", "-6"} {
				main := b.Gateway.Run("ip", family, "route", "show", "default", "dev", "eth1")
				own := b.Gateway.Run("ip", family, "route", "show", "default", "dev", "eth1", "table", "8202")
				_, want, _ := strings.Cut(strings.TrimSpace(main), " mtu ")
				if _, got, _ := strings.Cut(strings.TrimSpace(own), " mtu "); want == "" || got != want {
					t.Errorf("the uplink's default route is not like main's:\n%s%s", main, own)
				}
			}
			b.Shell("ip route del default dev eth1", "ip -6 route del default dev eth1")
			if gateway != box.AutoGateways {
				b.Apply()
			}
		})
	}
}

// narrowMTU is that of a hop behind the second uplink, which only its router knows, and reports by ICMP.
const narrowMTU = 1300

func TestPathMTUIsLearntPerUplink(t *testing.T) {
	t.Parallel()
	questions := map[string]func(*testing.T, *box.Box, netip.Addr){
		"transfers by TCP": transferLarge,
		"answers by UDP":   answerLarge,
	}
	for what, test := range questions {
		for _, noDefault := range []bool{false, true} {
			c := box.Conditions{RPFilter: 1, NoDefault: noDefault}
			t.Run(fmt.Sprintf("%s of the gateway, %s", what, c), func(t *testing.T) {
				b := newNarrow(t, c)
				box.ServeAll(b.Gateway)
				b.Apply()
				// The narrow one first: its path MTU could be used at the other.
				eachNarrow(t, b, test, b.Uplinks[1], b.Uplinks[0])
			})
		}
		t.Run(what+" of a host behind DNAT", func(t *testing.T) {
			b := newNarrow(t, box.Conditions{RPFilter: 1})
			box.ServeAll(b.LAN)
			b.AddDNAT(b.LAN4, b.LAN6)
			b.Apply()
			// That host knows one way to the client: what it learns of one uplink holds for both.
			eachNarrow(t, b, test, b.Uplinks[0], b.Uplinks[1])
		})
	}
}

func newNarrow(t *testing.T, c box.Conditions) *box.Box {
	t.Helper()
	b := box.New(t, c.Build(t, 2, world.Options{Narrow: map[int]int{1: narrowMTU}}))
	// Recorders see what the card would cut into segments as one packet: make every segment a packet.
	for _, l := range []*world.Link{b.Uplinks[0].Link, b.Uplinks[1].Link, b.LANLink.Peer} {
		l.Host.Run("ip", "link", "set", "dev", l.Name, "gso_max_segs", "1")
	}
	return b
}

// eachNarrow runs the test at the addresses of the uplinks, and wants answers to be no larger than their paths allow.
func eachNarrow(t *testing.T, b *box.Box, test func(*testing.T, *box.Box, netip.Addr), uplinks ...*world.Uplink) {
	t.Helper()
	for _, u := range uplinks {
		for _, to := range u.Addrs() {
			p := b.RecordEgress()
			test(t, b, to)
			p.Settle()
			p.WantSymmetric(t, u, to, 1)
			wantPathMTU(t, u, to, p.Wires[u.Index].Packets())
		}
	}
}

// wantPathMTU fails unless answers from the address by an uplink were as large as the path allows: on the narrow one, up to
// what its router reported and no larger from then on; packets already on their way, and TCP's probes, may be.
func wantPathMTU(t *testing.T, u *world.Uplink, from netip.Addr, packets []world.Packet) {
	t.Helper()
	reported, large, after, largest := 0, 0, 0, 0
	for _, p := range packets {
		switch {
		case tooBig(p):
			reported++
			if p.ICMPMTU != narrowMTU {
				t.Errorf("the router reports an MTU of %d", p.ICMPMTU)
			}
			after, largest = 0, 0
		case p.Dir == world.In && p.From(from):
			after++
			largest = max(largest, p.Length)
			if p.Length > narrowMTU {
				large++
			}
		}
	}
	if u.Index == 0 {
		if reported != 0 || large == 0 {
			t.Errorf("uplink without narrow hop: %d ICMP errors, %d large replies from %s", reported, large, from)
		}
		return
	}
	if reported == 0 {
		t.Fatalf("no ICMP error of the narrow hop reached %s: the test proves nothing", from)
	}
	if after == 0 || largest > narrowMTU {
		t.Errorf("%d replies from %s after the ICMP error of the narrow hop, the largest of %d bytes", after, from, largest)
	}
}

// tooBig reports whether the packet is a "fragmentation needed" or "packet too big" error.
func tooBig(p world.Packet) bool {
	return p.Proto == world.ICMP && p.ICMPType == 3 && p.ICMPCode == 4 || p.Proto == world.ICMPv6 && p.ICMPType == 2
}

func transferLarge(t *testing.T, b *box.Box, to netip.Addr) {
	t.Helper()
	if a := b.Client.Transfer(box.NewRequest(world.KindTCP, to), 1<<20); !a.OK {
		t.Errorf("transfer with %s: %v", to, a)
	}
}

// answerLarge requests a reply that fits the wire and not the narrow hop. The service sets DF, as the kernel does
// by itself, and loses the first.
func answerLarge(t *testing.T, b *box.Box, to netip.Addr) {
	t.Helper()
	q := box.NewRequest(world.KindUDP, to)
	q.Size = 1350
	if a := b.Client.Send(q); !a.OK || a.Size < q.Size {
		t.Errorf("a question of %d bytes to %s: %v", q.Size, to, a)
	}
}
