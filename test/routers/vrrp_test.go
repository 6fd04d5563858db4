package routers

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// clientGateway is the address of both members of a pair on their links to the client.
var clientGateway = netip.MustParseAddr("198.19.9.1")

// pair are two routers of the uplink cable that share its gateway addresses by VRRP.
type pair struct {
	*office
	members []*member
}

type member struct {
	*world.Host
	link       *world.Link // of the client to it
	mac        string      // its own, from which it forwards
	vrrp       box.VRRP
	keepalived *world.Command
}

// newPair returns an office whose second router is one of a pair.
func newPair(t *testing.T, useVMAC bool, backend string) *pair {
	t.Helper()
	o := newOffice(t, backend)
	cable := o.Routers[1]
	p := &pair{office: o}
	third := o.Host("r3")
	third.Forward()
	link, port := o.Join(third, "w0", o.Switch, "r3")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	link.LinkLocal("fe80::13")
	link.Addr("192.0.2.13/24", "2001:db8:b::13/64")
	cable.Run("ip", "addr", "flush", "dev", "w0")
	cable.Link.LinkLocal("fe80::12")
	cable.Link.Addr("192.0.2.12/24", "2001:db8:b::12/64")
	access, client := o.Join(third, "access0", cable.Client, "eth1")
	access.LinkLocal("fe80::1")
	client.LinkLocal("fe80::11")
	third.AddRoute(world.Route{To: netip.PrefixFrom(cable.Client4, 32), Link: access})
	third.AddRoute(world.Route{To: netip.PrefixFrom(cable.Client6, 128), Via: netip.MustParseAddr("fe80::11"), Link: access})
	p.members = []*member{{Host: cable.Host, link: cable.Client.Link("eth0")}, {Host: third, link: client}}
	for i, m := range p.members {
		m.mac = hardwareAddr(m.Host, "w0")
		m.Link("access0").Addr(clientGateway.String() + "/32")
		m.vrrp = box.VRRP{Router: m.Host, Link: "w0", Priority: 150 - 50*i, UseVMAC: useVMAC, Addresses: []string{"192.0.2.3/32", "fe80::3/128"}}
		m.keepalived = m.vrrp.Start(t)
	}
	p.use(p.members[0])
	return p
}

// use waits until the member has the gateway addresses, and sends the client's packets by it.
func (p *pair) use(m *member) {
	p.T.Helper()
	m.vrrp.Await(p.T)
	client := p.Routers[1].Client
	client.Run("ip", "route", "replace", "default", "via", clientGateway.String(), "dev", m.link.Name, "onlink", "src", p.Routers[1].Client4.String())
	client.Run("ip", "-6", "route", "replace", "default", "via", "fe80::1", "dev", m.link.Name, "src", p.Routers[1].Client6.String())
}

// pairOptions returns configurations of the pair's uplink, by which its members are known while they have no virtual hardware address, and
// while they have one: with mac no other address than the shared one is ever asked.
func pairOptions(useVMAC bool, p *pair) map[string]string {
	all := map[string]string{"routers": `routers = ["192.0.2.12", "192.0.2.13"]`}
	if useVMAC {
		all["mac"] = fmt.Sprintf("mac = [%q, %q]", strings.ToUpper(p.members[0].mac), strings.ReplaceAll(p.members[1].mac, ":", "-"))
	}
	return all
}

// TestPairOfRouters takes the gateway addresses of an uplink from one router to another, and back. With a virtual hardware address
// the frames that a router forwards still have its own.
func TestPairOfRouters(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, useVMAC bool, p *pair) {
		for name, line := range pairOptions(useVMAC, p) {
			t.Run(name, func(t *testing.T) {
				p.T = t
				p.configure("", line)
				s := p.Start()
				for _, m := range p.members {
					p.awaitRouter(t, m.mac)
				}
				p.takeOver(t, func([]*member) { p.wantReplies(t) })
				s.Stop()
			})
		}
	})
}

// virtualMAC is the hardware address that the pair shares (RFC 9568).
var virtualMAC = net.HardwareAddr{0, 0, 0x5e, 0, 1, 3}

// TestPairOfRoutersThatAreFound does so with routers = "any" and no word about the members: the replies to what each member sends go back
// to it, also while the other one has the gateway addresses. An address that the gateway has had stays the uplink's for a minute, in which
// its replies leave by the gateway.
func TestPairOfRoutersThatAreFound(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, _ bool, p *pair) {
		p.configure("", `routers = "any"`)
		p.start(t)
		cable := p.Routers[1]
		p.takeOver(t, func(members []*member) {
			for _, o := range p.members {
				if o != members[0] { // which has the gateway addresses
					o.vrrp.AwaitBackup(t)
				}
			}
			for i, m := range members {
				by := &pinger{office: p.office, frames: p.rawFramesBy(t, m.Link("w0"), "eth1"), replies: repliesAt(t, p.Port), from: []netip.Addr{cable.Client4, cable.Client6}, to: p.to()}
				mac, err := net.ParseMAC(m.mac)
				if err != nil {
					t.Fatal(err)
				}
				for family := range by.to {
					isRight := func() bool {
						got := by.ask(t, family, mac)
						return slices.Equal(got, mac) || i == 0 && slices.Equal(got, virtualMAC)
					}
					box.Eventually(t, box.EventualTimeout, "the reply to "+m.Name+" is sent to it", isRight)
					for range 10 {
						if !isRight() {
							t.Errorf("a reply to %s is sent to another router", m.Name)
						}
					}
				}
			}
			p.wantReplies(t)
		})
	})
}

// eachPair runs the test with each backend, without and with a virtual hardware address.
func eachPair(t *testing.T, test func(t *testing.T, useVMAC bool, p *pair)) {
	for name, useVMAC := range map[string]bool{"own hardware addresses": false, "virtual hardware address": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box.EachFirewall(t, func(t *testing.T, backend string) {
				p := newPair(t, useVMAC, backend)
				box.ServeAll(p.Gateway)
				test(t, useVMAC, p)
			})
		})
	}
}

// takeOver ends the first member, and starts it again. What want wants is right before, between and after, and open connections go on. It
// gets the member that has the gateway addresses, and before the first change the other one too.
func (p *pair) takeOver(t *testing.T, want func([]*member)) {
	t.Helper()
	want(p.members)
	var streams []*world.Stream
	for _, to := range p.to() {
		s, err := p.Routers[1].Client.Stream(box.NewRequest(world.KindTCP, to))
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	first, second := p.members[0], p.members[1]
	if err := first.keepalived.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = first.keepalived.Wait()
	for _, m := range []*member{second, first} {
		p.use(m)
		want([]*member{m})
		for _, s := range streams {
			if err := s.Await(t.Context(), 1<<20); err != nil {
				t.Errorf("by %s: %v", m.Name, err)
			}
		}
		if m == second {
			first.keepalived = first.vrrp.Start(t)
		}
	}
	for _, s := range streams {
		s.Stop()
	}
}

// hardwareAddr returns the hardware address of a host's link.
func hardwareAddr(h *world.Host, link string) string {
	words := strings.Fields(h.Run("ip", "-o", "link", "show", link))
	for i, w := range words[:len(words)-1] {
		if w == "link/ether" {
			return words[i+1]
		}
	}
	return ""
}
