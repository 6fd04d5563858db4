//go:build modules

package routers

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// vlanKinds are links above VLANs of the lower link, of which the first one makes the switch use VLANs. Those and a kernel with TCX are
// needed: make test-modules boots Debian's.
var vlanKinds = []linkKind{
	{
		name: "VLAN on a bond",
		make: func(_ *testing.T, o *office, lower *world.Link) *world.Link {
			o.tag()
			o.Gateway.Run("ip", "link", "add", "name", "bond1", "type", "bond", "mode", "active-backup", "miimon", "10")
			lower.Down()
			o.Gateway.Run("ip", "link", "set", lower.Name, "master", "bond1")
			lower.Up()
			o.Gateway.Link("bond1").Up()
			box.AwaitActivePort(o.Gateway, lower.Name)
			return o.vlan("eth1", "bond1", "100")
		},
		unmake: func(o *office) {
			o.Gateway.Link("bond1").Delete()
			o.Gateway.Link(lowerLink).Up() // the bond has taken it down
		},
	},
	{
		name: "bridge of VLANs, with a router in each",
		make: func(_ *testing.T, o *office, lower *world.Link) *world.Link {
			o.Switch.Run("ip", "link", "set", "r2", "master", "br1")
			return o.Gateway.Bridge("eth1", o.vlan("first", lower.Name, "100"), o.vlan("second", lower.Name, "200"))
		},
		unmake: func(o *office) {
			o.Switch.Run("ip", "link", "set", "r2", "master", "br0")
			for _, name := range []string{"first", "second"} {
				o.Gateway.Link(name).Delete()
			}
		},
	},
	{
		name: "VLAN on a bridge that knows VLANs",
		make: func(_ *testing.T, o *office, lower *world.Link) *world.Link {
			o.Gateway.Bridge("aware", lower)
			o.Gateway.Run("ip", "link", "set", "aware", "type", "bridge", "vlan_filtering", "1")
			o.Gateway.Run("bridge", "vlan", "add", "dev", lower.Name, "vid", "100")
			o.Gateway.Run("bridge", "vlan", "add", "dev", "aware", "vid", "100", "self")
			return o.vlan("eth1", "aware", "100")
		},
		unmake: func(o *office) { o.Gateway.Link("aware").Delete() },
	},
	{
		name: "ipvlan on a VLAN, which has the same hardware address",
		make: func(_ *testing.T, o *office, lower *world.Link) *world.Link {
			o.vlan("first", lower.Name, "100")
			return box.AddLink(o.Gateway, "eth1", "link", "first", "type", "ipvlan", "mode", "l2")
		},
	},
}

// tag makes the switch send to the gateway in VLANs: from and to its bridge in 100, from and to another bridge in 200.
func (o *office) tag() {
	o.Switch.Run("ip", "link", "set", "gw", "nomaster")
	first := box.AddLink(o.Switch, "gw.100", "link", "gw", "type", "vlan", "id", "100")
	o.Switch.Run("ip", "link", "set", first.Name, "master", "br0")
	o.Switch.Bridge("br1", box.AddLink(o.Switch, "gw.200", "link", "gw", "type", "vlan", "id", "200"))
}

// vlan adds a VLAN on a link of the gateway.
func (o *office) vlan(name, on, id string) *world.Link {
	return box.AddLink(o.Gateway, name, "link", on, "type", "vlan", "id", id)
}

// Links above VLANs replace the shared link as those of TestSharedLinkOfEachKind do.
func TestRecentKernelSharedLinkOfEachKindOfVLAN(t *testing.T) { replaceSharedLink(t, vlanKinds) }

// A router with one hardware address is in two VLANs of the same wire, where the gateway has one hardware address too: on the shared link,
// and on the link of another uplink.
func TestRecentKernelRouterInTwoVLANs(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		in := world.ISPs(t, 1, world.Options{ReplaceLink: map[int]func(*world.Internet, *world.Uplink){0: asTrunk}})
		isp := in.Uplinks[0].ISP
		up, port := in.Join(isp, "switch0", in.Host("sw"), "gw")
		isp.Bridge("trunk0", box.AddLink(isp, "port0.100", "link", "port0", "type", "vlan", "id", "100"), up)
		routerOnTwoLinks(t, newOfficeIn(t, in, box.AddLink(in.Gateway, "eth1", "link", "trunk0", "type", "vlan", "id", "100"), port, backend))
	})
}

// asTrunk makes the uplink a VLAN of its wire.
func asTrunk(in *world.Internet, u *world.Uplink) {
	u.Link.Rename("trunk0")
	u.Link = box.AddLink(in.Gateway, "eth0", "link", "trunk0", "type", "vlan", "id", "200")
	u.Side = box.AddLink(u.ISP, "port0.200", "link", "port0", "type", "vlan", "id", "200")
}

// Uplinks on a link of WireGuard or PPP are refused as those on a tun are.
func TestRecentKernelUplinksOnTunnelsAreRefused(t *testing.T) {
	kinds := map[string]func(*world.Internet, *world.Uplink){"WireGuard": box.AsWireGuard, "PPP": box.AsPPP}
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, kind := range kinds {
			t.Run(name, func(t *testing.T) { refuseTunnel(t, backend, kind) })
		}
	})
}
