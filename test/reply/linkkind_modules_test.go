//go:build modules

package reply

import (
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// moduleKinds are those that are modules, which not every kernel has: make test-boot QEMU=1 boots Debian's.
var moduleKinds = map[string]linkKind{
	"VLAN":      {replaceLink: asVLAN},
	"bond":      {replaceLink: asBond, after: bondFailsOver},
	"WireGuard": {replaceLink: asWireGuard, gateway: box.AutoGateways},
}

func TestModulesMakeUplinks(t *testing.T) { eachLinkKind(t, moduleKinds) }

func asVLAN(in *world.Internet, u *world.Uplink) {
	u.Link = box.AddLink(in.Gateway, "eth1.100", "link", u.Link.Name, "type", "vlan", "id", "100")
	u.Side = box.AddLink(u.ISP, "port0.100", "link", u.Wire.Name, "type", "vlan", "id", "100")
}

// asBond makes the wire and a second one a bond, of which one wire is used until it fails.
func asBond(in *world.Internet, u *world.Uplink) {
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
	awaitActivePort(in.Gateway, "eth1")
}

func bondFailsOver(t *testing.T, p *box.Egress) {
	u := p.Uplinks[1]
	u.Wire.Down()
	awaitActivePort(p.Gateway, "eth1b")
	for _, to := range u.Addrs() {
		p.WantReplies(t, p.Client, u, to, world.Kinds)
	}
}

// awaitActivePort waits until the bond sends by that wire.
func awaitActivePort(h *world.Host, wire string) {
	for {
		if text := h.Run("ip", "-d", "link", "show", "bond1"); strings.Contains(text, "active_slave "+wire+" ") && strings.Contains(text, "LOWER_UP") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// asWireGuard makes the uplink a tunnel to its ISP, through the wire.
func asWireGuard(in *world.Internet, u *world.Uplink) {
	u.Link.Addr("198.18.100.2/30")
	u.Wire.Addr("198.18.100.1/30")
	here, there := box.NewPeer(in.Gateway, "wg1"), box.NewPeer(u.ISP, "wg0")
	here.Join(there, "198.18.100.1:51820")
	there.Join(here, "198.18.100.2:51820")
	u.Link, u.Side = here.Link, there.Link
}
