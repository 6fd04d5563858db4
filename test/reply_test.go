package test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

func TestLocalServiceRepliesByTheIngressUplink(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			serveAll(b.Gateway)
			b.apply()
			b.recordEgress().wantRepliesFromAll(t, b.Client, world.Kinds)
		})
	})
}

func TestHostBehindDNATRepliesByTheIngressUplink(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			serveAll(b.LAN)
			b.forward(b.LAN4, b.LAN6)
			b.apply()
			b.recordEgress().wantRepliesFromAll(t, b.Client, dnatKinds)
		})
	})
}

// forward translates every question at an uplink's address to a host inside.
func (b *box) forward(to4, to6 netip.Addr) {
	b.t.Helper()
	for _, u := range b.Uplinks {
		b.iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr4.String(), "-j", "DNAT", "--to", to4.String())
		b.iptables(6, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr6.String(), "-j", "DNAT", "--to", to6.String())
	}
}

func TestContainerBehindABridgeRepliesByTheIngressUplink(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		c := conditions{rpFilter: 1}
		b := newBox(t, c.build(t, 2, world.Options{}), backend)
		container := b.Host("container")
		port, link := b.Join(b.Gateway, "vethc", container, "eth0")
		bridge := b.Gateway.Bridge("docker0", port)
		bridge.Addr("198.18.17.1/24", "2001:db8:17::1/64")
		link.Addr("198.18.17.2/24", "2001:db8:17::2/64")
		container.Run("ip", "route", "add", "default", "via", "198.18.17.1")
		container.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:17::1")
		serveAll(container)
		b.forward(netip.MustParseAddr("198.18.17.2"), netip.MustParseAddr("2001:db8:17::2"))
		// What a container runtime adds for the containers' own way out.
		b.iptables(4, "-t", "nat", "-A", "POSTROUTING", "-s", "198.18.17.0/24", "!", "-o", "docker0", "-j", "MASQUERADE")
		b.apply()
		p := b.recordEgress()
		p.wantRepliesFromAll(t, b.Client, dnatKinds)
		if a := container.Ping(b.Uplinks[0].Router4); !a.OK {
			t.Errorf("the container's own question: %v", a)
		}
	})
}

func TestHostsInsideReachTheGatewaysPublicAddresses(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			serveAll(b.Gateway)
			b.apply()
			for _, u := range b.Uplinks {
				for _, to := range u.Addrs() {
					for _, kind := range world.Kinds {
						if a := b.LAN.Send(newRequest(kind, to)); !a.OK {
							t.Errorf("%s from inside to %s: %v", kind, to, a)
						}
					}
				}
			}
		})
	})
}

func TestManyUplinks(t *testing.T) {
	for _, n := range []int{3, 31} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachBackend(t, func(t *testing.T, backend string) {
				b := newBox(t, conditions{rpFilter: 1}.build(t, n, world.Options{}), backend)
				serveAll(b.Gateway)
				serveAll(b.LAN)
				b.apply()
				p := b.recordEgress()
				p.wantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
				b.forward(b.LAN4, b.LAN6)
				p.wantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP})
			})
		})
	}
}

func TestSecondAddressOfAnUplink(t *testing.T) {
	eachCondition(t, func(t *testing.T, c conditions) {
		b := newBox(t, c.build(t, 2, world.Options{SecondAddr: []int{0, 1}}))
		serveAll(b.Gateway)
		b.apply()
		p := b.recordEgress()
		for _, u := range b.Uplinks {
			p.wantReplies(t, b.Client, u, u.Second4, world.Kinds)
			p.wantReplies(t, b.Client, u, u.Second6, world.Kinds)
		}
	})
}

func TestClientInsideTheUplinksOwnSubnet(t *testing.T) {
	eachCondition(t, func(t *testing.T, c conditions) {
		b := newBox(t, c.build(t, 2, world.Options{Neighbours: []int{0, 1}}))
		serveAll(b.Gateway)
		b.apply()
		p := b.recordEgress()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				p.wantReplies(t, u.Neighbour, u, to, world.Kinds)
			}
		}
	})
}

// A management network is the classic: main knows the client by one uplink, and the client asks at the other.
func TestMainRouteByAnotherUplinkIsOverridden(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			serveAll(b.Gateway)
			serveAll(b.LAN)
			b.Gateway.Run("ip", "route", "add", "203.0.113.0/24", "via", b.Uplinks[0].Router4.String(), "dev", "eth0")
			b.Gateway.Run("ip", "-6", "route", "add", "2001:db8:c::/64", "via", "fe80::1", "dev", "eth0")
			b.apply()
			p := b.recordEgress()
			p.wantRepliesFromAll(t, b.Client, world.Kinds)
			b.forward(b.LAN4, b.LAN6)
			p.wantRepliesFromAll(t, b.Client, dnatKinds)
		})
	})
}

func TestUDPRepliesFromEverySocketKind(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	p := b.recordEgress()
	t.Run("from one socket for all addresses, by packet information", func(t *testing.T) {
		service := b.Gateway.ServeUDP(servedPort, world.Pktinfo)
		defer service.Close()
		p.wantRepliesFromAll(t, b.Client, []world.Kind{world.KindUDP})
	})
	t.Run("from a socket bound to the address", func(t *testing.T) {
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				service := b.Gateway.ServeUDPAt(netip.AddrPortFrom(to, servedPort))
				p.wantReplies(t, b.Client, u, to, []world.Kind{world.KindUDP})
				service.Close()
			}
		}
	})
	t.Run("from a socket connected to the asker", func(t *testing.T) {
		port := uint16(5000)
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				port++
				from, at := netip.AddrPortFrom(b.clientAddr(to), port), netip.AddrPortFrom(to, servedPort)
				b.echo(b.connected(b.Gateway, at, from))
				asker := b.connected(b.Client, from, at)
				if err := exchange(asker); err != nil {
					t.Errorf("to %s: %v", to, err)
				}
				reset := p.settle()
				p.wantSymmetric(t, u, to, 1)
				reset()
			}
		}
	})
}

// connected is a socket with both ends set.
func (b *box) connected(h *world.Host, local, remote netip.AddrPort) *net.UDPConn {
	b.t.Helper()
	var socket *net.UDPConn
	var err error
	h.Do(func() {
		socket, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(local), net.UDPAddrFromAddrPort(remote))
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { socket.Close() })
	return socket
}

func (b *box) echo(socket *net.UDPConn) {
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			if _, err := socket.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
}

// exchange sends a datagram and waits for the answer.
func exchange(socket *net.UDPConn) error {
	if err := socket.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := socket.Write([]byte("question")); err != nil {
		return err
	}
	_, err := socket.Read(make([]byte, 64))
	return err
}

func (b *box) clientAddr(to netip.Addr) netip.Addr {
	if to.Is4() {
		return b.Client4
	}
	return b.Client6
}

// Many VPN clients add main's default route in pieces, so that it wins over the one that is there.
func TestVPNDefaultRouteTakesNoReply(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			serveAll(b.Gateway)
			serveAll(b.LAN)
			b.shell("ip link add tun0 type bridge", "ip link set tun0 up",
				"for to in 0.0.0.0/1 128.0.0.0/1 ::/3 2000::/4 3000::/4; do ip route add $to dev tun0; done")
			b.apply()
			b.shell("ip route add 10.0.0.0/8 dev lan0", "ip route add fc00::/7 dev lan0")
			for _, inside := range []string{"10.9.9.9", "fd09::9"} {
				if got := b.Gateway.Run("ip", "route", "get", inside, "mark", "0x200"); !strings.Contains(got, "dev lan0 ") {
					t.Errorf("the largest network inside: %s", got)
				}
			}
			p := b.recordEgress()
			p.wantRepliesFromAll(t, b.Client, world.Kinds)
			b.forward(b.LAN4, b.LAN6)
			p.wantRepliesFromAll(t, b.Client, dnatKinds)
		})
	})
}
