package routers

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// secondRouter adds a router to the switch with the addresses, which routers can name, and returns its hardware address.
func (o *office) secondRouter(addrs ...string) net.HardwareAddr {
	h := o.Host("r3")
	link, port := o.Join(h, "w0", o.Switch, "r3")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	link.Addr(addrs...)
	return mustMAC(o.T, hardwareAddr(h, "w0"))
}

// Many routers that are found on one link take nothing from the routers that are configured on another one, whose uplink has two, nor on
// the same one. Of many hardware addresses a configured router has one: it is none of those that were found.
func TestManyFoundRoutersBesideConfiguredOnes(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend, "mask = 0xff00")
		box.ServeAll(o.Gateway)
		second := o.secondRouter("192.0.2.12/24", "2001:db8:b::12/64")
		const routers = `routers = ["192.0.2.12", "2001:db8:b::12"]`
		some := []net.HardwareAddr{routerMAC(0), routerMAC(99), routerMAC(manyRouters - 1)}
		wire, cable := o.Uplinks[0].Wire, o.Routers[1]
		cable.setMAC(routerMAC(5).String())
		eth1 := o.pingerBy(t)
		eth0 := &pinger{office: o, frames: o.rawFramesBy(t, wire, "eth0"), replies: repliesAt(t, wire), from: []netip.Addr{o.Client4, o.Client6},
			to: o.Uplinks[0].Addrs()}
		for _, c := range []struct {
			uplink, fibre, dsl string
			with, without      *pinger // on its link, and on the other one
			unknownTo          string  // where the reply to a router is sent that is unknown on the other one
		}{
			{uplink: "fibre", with: eth0, without: eth1, fibre: `routers = "any"`, unknownTo: o.Routers[0].MAC},
			{uplink: "dsl", with: eth1, without: eth0, dsl: `routers = "any"`, unknownTo: hardwareAddr(wire.Host, wire.Name)},
		} {
			o.configure(c.dsl, routers)
			o.Write(strings.Replace(o.config(t), "[uplinks.dsl]", c.fibre+"\n[uplinks.dsl]", 1))
			o.saveFound(t, c.uplink, manyRouters)
			o.Apply()
			c.with.wantReplies(t, some...)
			if c.with == eth0 {
				eth0.wantReplies(t, routerMAC(5)) // of cable on the other link alone
			}
			o.wantReplies(t)
			for _, to := range o.Uplinks[0].Addrs() {
				box.WantReplies(t, o.Client, to, []world.Kind{world.KindTCP, world.KindPing})
			}
			for family := range eth1.to {
				for _, by := range []net.HardwareAddr{second, routerMAC(5)} {
					if got := eth1.ask(t, family, by); got.String() != cable.MAC {
						t.Errorf("many on the link of %s: the reply to %s by %s, a router of cable, is sent to %s", c.uplink, eth1.to[family], by, got)
					}
				}
				if got := c.without.ask(t, family, some[1]); got.String() != c.unknownTo {
					t.Errorf("many on the link of %s: the reply to %s by %s, which is unknown there, is sent to %s", c.uplink, c.without.to[family], some[1], got)
				}
			}
		}
		o.Must(0, "flush")
		if left := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent"); left != "" {
			t.Errorf("flush has left:\n%s", left)
		}
	})
}
