package routers

import (
	"net/netip"
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

// TestPairOfRouters takes the gateway addresses of an uplink from one router to another, and back. With a virtual hardware address
// the frames that a router forwards still have its own.
func TestPairOfRouters(t *testing.T) {
	t.Parallel()
	for name, useVMAC := range map[string]bool{"own hardware addresses": false, "virtual hardware address": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box.EachFirewall(t, func(t *testing.T, backend string) {
				p := newPair(t, useVMAC, backend)
				box.ServeAll(p.Gateway)
				p.configure("", `routers = ["192.0.2.12", "192.0.2.13"]`)
				p.start(t)
				for _, m := range p.members {
					p.awaitRouter(t, hardwareAddr(m.Host, "w0"))
				}
				p.wantReplies(t)
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
					p.wantReplies(t)
					for _, s := range streams {
						if err := s.Await(t.Context(), 1<<20); err != nil {
							t.Errorf("by %s: %v", m.Name, err)
						}
					}
					if m == second {
						first.keepalived = first.vrrp.Start(t)
					}
				}
			})
		})
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
