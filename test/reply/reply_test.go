package reply

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestLocalServiceRepliesByTheIngressUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			box.ServeAll(b.Gateway)
			b.Apply()
			b.RecordEgress().WantRepliesFromAll(t, b.Client, world.Kinds)
		})
	})
}

func TestHostBehindDNATRepliesByTheIngressUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			box.ServeAll(b.LAN)
			b.AddDNAT(b.LAN4, b.LAN6)
			b.Apply()
			b.RecordEgress().WantRepliesFromAll(t, b.Client, box.DNATKinds)
		})
	})
}

func TestContainerBehindABridgeRepliesByTheIngressUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		c := box.Conditions{RPFilter: 1}
		b := box.New(t, c.Build(t, 2, world.Options{}), backend)
		container := b.Host("container")
		port, link := b.Join(b.Gateway, "vethc", container, "eth0")
		bridge := b.Gateway.Bridge("docker0", port)
		bridge.Addr("198.18.17.1/24", "2001:db8:17::1/64")
		link.Addr("198.18.17.2/24", "2001:db8:17::2/64")
		container.Run("ip", "route", "add", "default", "via", "198.18.17.1")
		container.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:17::1")
		box.ServeAll(container)
		b.AddDNAT(netip.MustParseAddr("198.18.17.2"), netip.MustParseAddr("2001:db8:17::2"))
		// What a container runtime adds for the containers' own way out.
		b.Iptables(4, "-t", "nat", "-A", "POSTROUTING", "-s", "198.18.17.0/24", "!", "-o", "docker0", "-j", "MASQUERADE")
		b.Apply()
		p := b.RecordEgress()
		p.WantRepliesFromAll(t, b.Client, box.DNATKinds)
		if a := container.Ping(b.Uplinks[0].Router4); !a.OK {
			t.Errorf("the container's own question: %v", a)
		}
	})
}

func TestHostsInsideReachTheGatewaysPublicAddresses(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			box.ServeAll(b.Gateway)
			b.Apply()
			for _, u := range b.Uplinks {
				for _, to := range u.Addrs() {
					for _, kind := range world.Kinds {
						if a := b.LAN.Send(box.NewRequest(kind, to)); !a.OK {
							t.Errorf("%s from inside to %s: %v", kind, to, a)
						}
					}
				}
			}
		})
	})
}

func TestManyUplinks(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 31} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			box.EachFirewall(t, func(t *testing.T, backend string) {
				b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, n, world.Options{}), backend)
				box.ServeAll(b.Gateway)
				box.ServeAll(b.LAN)
				b.Apply()
				p := b.RecordEgress()
				p.WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
				b.AddDNAT(b.LAN4, b.LAN6)
				p.WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP})
			})
		})
	}
}

func TestSecondAddressOfAnUplink(t *testing.T) {
	t.Parallel()
	box.EachCondition(t, func(t *testing.T, c box.Conditions) {
		b := box.New(t, c.Build(t, 2, world.Options{SecondAddr: []int{0, 1}}))
		box.ServeAll(b.Gateway)
		b.Apply()
		p := b.RecordEgress()
		for _, u := range b.Uplinks {
			p.WantReplies(t, b.Client, u, u.Second4, world.Kinds)
			p.WantReplies(t, b.Client, u, u.Second6, world.Kinds)
		}
	})
}

func TestClientInsideTheUplinksOwnSubnet(t *testing.T) {
	t.Parallel()
	box.EachCondition(t, func(t *testing.T, c box.Conditions) {
		b := box.New(t, c.Build(t, 2, world.Options{Neighbours: []int{0, 1}}))
		box.ServeAll(b.Gateway)
		b.Apply()
		p := b.RecordEgress()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				p.WantReplies(t, u.Neighbour, u, to, world.Kinds)
			}
		}
	})
}

// A management network is the classic: main has a route to the client by one uplink, and its requests come by the other.
func TestMainRouteByAnotherUplinkIsOverridden(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			box.ServeAll(b.Gateway)
			box.ServeAll(b.LAN)
			b.Gateway.Run("ip", "route", "add", "203.0.113.0/24", "via", b.Uplinks[0].Router4.String(), "dev", "eth0")
			b.Gateway.Run("ip", "-6", "route", "add", "2001:db8:c::/64", "via", "fe80::1", "dev", "eth0")
			b.Apply()
			p := b.RecordEgress()
			p.WantRepliesFromAll(t, b.Client, world.Kinds)
			b.AddDNAT(b.LAN4, b.LAN6)
			p.WantRepliesFromAll(t, b.Client, box.DNATKinds)
		})
	})
}

func TestUDPRepliesFromEverySocketKind(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	p := b.RecordEgress()
	t.Run("from one socket for all addresses, by packet information", func(t *testing.T) {
		service := b.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
		defer service.Close()
		p.WantRepliesFromAll(t, b.Client, []world.Kind{world.KindUDP})
	})
	t.Run("from a socket bound to the address", func(t *testing.T) {
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				service := b.Gateway.ServeUDPAt(netip.AddrPortFrom(to, box.ServedPort))
				p.WantReplies(t, b.Client, u, to, []world.Kind{world.KindUDP})
				service.Close()
			}
		}
	})
	t.Run("from a socket connected to the client", func(t *testing.T) {
		port := uint16(5000)
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				port++
				from, at := netip.AddrPortFrom(b.ClientAddr(to), port), netip.AddrPortFrom(to, box.ServedPort)
				b.Echo(b.Connected(b.Gateway, at, from))
				requester := b.Connected(b.Client, from, at)
				if err := box.Exchange(requester); err != nil {
					t.Errorf("to %s: %v", to, err)
				}
				p.Settle()
				p.WantSymmetric(t, u, to, 1)
				p.Begin()
			}
		}
	})
}

// Many VPN clients add main's default route in pieces, so that it wins over the one that is there.
func TestVPNDefaultRouteTakesNoReply(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			box.ServeAll(b.Gateway)
			box.ServeAll(b.LAN)
			b.Shell("ip link add tun0 type bridge", "ip link set tun0 up",
				"for to in 0.0.0.0/1 128.0.0.0/1 ::/3 2000::/4 3000::/4; do ip route add $to dev tun0; done")
			b.Apply()
			b.Shell("ip route add 10.0.0.0/8 dev lan0", "ip route add fc00::/7 dev lan0")
			for _, inside := range []string{"10.9.9.9", "fd09::9"} {
				if got := b.Gateway.Run("ip", "route", "get", inside, "mark", "0x200"); !strings.Contains(got, "dev lan0 ") {
					t.Errorf("the largest network inside: %s", got)
				}
			}
			p := b.RecordEgress()
			p.WantRepliesFromAll(t, b.Client, world.Kinds)
			b.AddDNAT(b.LAN4, b.LAN6)
			p.WantRepliesFromAll(t, b.Client, box.DNATKinds)
		})
	})
}
