package routers

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
)

// A router that has one hardware address on two links, as one with VLANs on a trunk does, is a router of its own on each: that of the
// uplink cable on the shared link, and that of fibre on the other one, where routers are found. Its address changes on one link, and
// stays on the other. mac alone names a second one on the shared link, whose requests are answered by the gateway of its uplink.
func TestRouterWithOneHardwareAddressOnTwoLinks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) { routerOnTwoLinks(t, newOffice(t, backend)) })
}

func routerOnTwoLinks(t *testing.T, o *office) {
	dsl, cable, wire := o.Routers[0], o.Routers[1], o.Uplinks[0].Side
	named := net.HardwareAddr{0, 0x1b, 0x21, 0x5e, 0x82, 0x11}
	one := cable.MAC
	wire.Host.Run("ip", "link", "set", wire.Name, "address", one)
	o.configure("", `mac = ["`+strings.ToUpper(named.String())+`"]`)
	o.Write(strings.Replace(o.config(t), "[uplinks.dsl]", "routers = \"any\"\n[uplinks.dsl]", 1))
	box.ServeAll(o.Gateway)
	o.start(t)
	for _, r := range o.Routers {
		o.awaitRouter(t, r.MAC)
	}
	want := func() {
		t.Helper()
		o.wantReplies(t)
		for _, to := range o.Uplinks[0].Addrs() {
			box.WantReplies(t, o.Client, to, kinds)
		}
	}
	want()
	o.wantProof(t)
	eth1 := o.pingerBy(t)
	eth0 := &pinger{office: o, frames: o.rawFramesBy(t, wire, "eth0"), replies: repliesAt(t, wire), from: []netip.Addr{o.Client4, o.Client6}, to: o.Uplinks[0].Addrs()}
	eth0.wantReplies(t, mustMAC(t, one))
	eth1.wantReplies(t, mustMAC(t, one), mustMAC(t, dsl.MAC))
	// A router that is found on one link is unknown on the other one.
	found := routerMAC(7)
	eth0.awaitReplies(t, found)
	for family := range eth1.to {
		if got := eth1.ask(t, family, found); got.String() != dsl.MAC {
			t.Errorf("on the shared link, the reply to %s by %s is sent to %s", eth1.to[family], found, got)
		}
		if got := eth1.ask(t, family, named); got.String() != one {
			t.Errorf("the reply to %s by %s, which mac names, is sent to %s", eth1.to[family], named, got)
		}
	}
	cable.setMAC("02:00:00:0b:06:01")
	o.awaitNeighbour(t, cable)
	o.awaitRouter(t, cable.MAC)
	want()
	eth0.wantReplies(t, mustMAC(t, one), found)
	eth1.wantReplies(t, mustMAC(t, cable.MAC))
	for family := range eth1.to { // for a while, packets of both are the uplink's
		if got := eth1.ask(t, family, mustMAC(t, one)); got.String() != cable.MAC {
			t.Errorf("the reply to %s by %s, which the router had, is sent to %s", eth1.to[family], one, got)
		}
	}
	o.wantProof(t)
	if found := o.ServiceStatus().Uplinks[0].FoundRouters; len(found) != 1 || found[0].MAC != routerMAC(7).String() {
		t.Errorf("found on eth0: %v", found)
	}
}

// mustMAC parses a hardware address.
func mustMAC(t *testing.T, text string) net.HardwareAddr {
	t.Helper()
	mac, err := net.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	return mac
}
