//go:build modules

package box

import (
	"strings"
	"time"

	"replypath/test/world"
)

// AsVLAN makes the uplink a VLAN on the wire.
func AsVLAN(in *world.Internet, u *world.Uplink) {
	u.Link = AddLink(in.Gateway, "eth1.100", "link", u.Link.Name, "type", "vlan", "id", "100")
	u.Side = AddLink(u.ISP, "port0.100", "link", u.Wire.Name, "type", "vlan", "id", "100")
}

// AsBond makes the wire and a second one a bond, of which one wire is used until it fails.
func AsBond(in *world.Internet, u *world.Uplink) {
	spare, port := in.Join(in.Gateway, "eth1b", u.ISP, "port1")
	u.Side = u.ISP.Bridge("net0", u.Wire, port)
	in.Gateway.Run("ip", "link", "add", "name", "bond1", "type", "bond", "mode", "active-backup", "miimon", "10", "primary_reselect", "failure")
	for _, l := range []*world.Link{u.Link, spare} {
		l.Down()
		in.Gateway.Run("ip", "link", "set", l.Name, "master", "bond1")
		l.Up()
	}
	u.Link = in.Gateway.Link("bond1")
	u.Link.Up()
	AwaitActivePort(in.Gateway, "eth1")
}

// AwaitActivePort waits until the bond sends by that wire.
func AwaitActivePort(h *world.Host, wire string) {
	for {
		if text := h.Run("ip", "-d", "link", "show", "bond1"); strings.Contains(text, "active_slave "+wire+" ") && strings.Contains(text, "LOWER_UP") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// AsWireGuard makes the uplink a tunnel to its ISP, through the wire.
func AsWireGuard(in *world.Internet, u *world.Uplink) {
	u.Link.Addr("198.18.100.2/30")
	u.Wire.Addr("198.18.100.1/30")
	here, there := NewPeer(in.Gateway, "wg1"), NewPeer(u.ISP, "wg0")
	here.Join(there, "198.18.100.1:51820")
	there.Join(here, "198.18.100.2:51820")
	u.Link, u.Side = here.Link, there.Link
}

// AsVLANOnBond makes the uplink a VLAN on a bond.
func AsVLANOnBond(in *world.Internet, u *world.Uplink) {
	AsBond(in, u)
	u.Link = AddLink(in.Gateway, "bond1.100", "link", "bond1", "type", "vlan", "id", "100")
	u.Side = AddLink(u.ISP, "net0.100", "link", "net0", "type", "vlan", "id", "100")
}

// AsSecondVLANOnBond makes the uplink another VLAN on the bond of the one before, which has the same hardware address.
func AsSecondVLANOnBond(in *world.Internet, u *world.Uplink) {
	before := in.Uplinks[u.Index-1].ISP
	u.Link.Delete()
	u.Link = AddLink(in.Gateway, "bond1.200", "link", "bond1", "type", "vlan", "id", "200")
	trunk := AddLink(before, "net0.200", "link", "net0", "type", "vlan", "id", "200")
	port, wire := in.Join(before, "next0", u.ISP, "vlan0")
	before.Bridge("next1", trunk, port)
	u.Wire, u.Side = wire, wire
}

// AsBridgeOfVLANs makes the uplink a bridge of two VLANs on the wire, with the ISP in one of them.
func AsBridgeOfVLANs(in *world.Internet, u *world.Uplink) {
	var ports []*world.Link
	for _, id := range []string{"100", "200"} {
		ports = append(ports, AddLink(in.Gateway, u.Link.Name+"."+id, "link", u.Link.Name, "type", "vlan", "id", id))
	}
	u.Side = AddLink(u.ISP, "port0.200", "link", u.Wire.Name, "type", "vlan", "id", "200")
	u.Link = in.Gateway.Bridge("vlans0", ports...)
}

// AsPPP makes the uplink a PPP link to its ISP.
func AsPPP(in *world.Internet, u *world.Uplink) {
	u.Link, u.Side = in.JoinPPP(in.Gateway, "ppp1", u.Addr4, u.ISP, "ppp0", u.Router4)
}

// AsIPvlan makes the uplink an ipvlan on the wire, with its hardware address.
func AsIPvlan(in *world.Internet, u *world.Uplink) {
	u.Link = AddLink(in.Gateway, "ipvl1", "link", u.Link.Name, "type", "ipvlan", "mode", "l2")
}
