package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// anyRouter is the value of the key routers that stands for every router on the interface.
const anyRouter = "any"

// wantsAnyRouter reports whether replies go back to every router on the uplink's interface.
func (u fileUplink) wantsAnyRouter() bool {
	return slices.ContainsFunc(u.routers, func(t stringValue) bool { return t.val == anyRouter })
}

// checkFoundRouters reports uplinks with routers = "any" while the mask has no id for a router.
func (c *Config) checkFoundRouters(ups []fileUplink) {
	for _, u := range ups {
		for _, t := range u.routers {
			if t.val == anyRouter && c.Mask.Contiguous() && len(c.FoundRouterIDs()) == 0 {
				t.addMistake("use a wider mask, such as 0xff00", `routers = "any" needs an id of the mask for each router that is found, and the uplinks have all %d`, c.Mask.MaxID())
			}
		}
	}
}

// resolveRouters returns further addresses of the uplink's routers.
func (u fileUplink) resolveRouters(of uplinks.Uplink) (all []netip.Addr) {
	list := gatewayList{link: of.Link}
	for _, t := range u.routers {
		if t.val == anyRouter {
			continue
		}
		a, message, _ := list.parse(t.val)
		switch {
		case message != "":
			t.addMistake("write the address of a router on the interface, such as \"192.0.2.12\"", "routers: %s", message)
		case slices.Contains(all, a):
			t.addMistake("remove one of them", "routers lists %s twice", a)
		case !of.Manages(uplinks.FamilyOf(a)):
			t.addMistake("add a gateway of its family, or remove it", "routers: %s is an %s address, and the uplink has no %[2]s gateway", a, uplinks.FamilyOf(a))
		default:
			all = append(all, a)
		}
	}
	return all
}

// ethernetSize is the size of a hardware address of Ethernet.
const ethernetSize = 6

// resolveMACs returns the hardware addresses of the uplink's routers that are written.
func (u fileUplink) resolveMACs() (all []string) {
	for _, t := range u.macs {
		mac, err := net.ParseMAC(t.val)
		switch {
		case err != nil || len(mac) != ethernetSize:
			t.addMistake(`write it as "02:00:00:00:02:01"`, "mac: %q is not a hardware address of Ethernet", t.val)
		case mac[0]&1 != 0 || slices.Equal(mac, make([]byte, ethernetSize)):
			t.addMistake("write the address from which the router sends", "mac: %s is no address of one host", mac)
		case slices.Contains(all, mac.String()):
			t.addMistake("remove one of them", "mac lists %s twice", mac)
		default:
			all = append(all, mac.String())
		}
	}
	return all
}

// checkDistinctInterface reports an interface that an earlier uplink has, unless their routers can be distinguished, and what an
// earlier uplink on the same interface has too.
func (u fileUplink) checkDistinctInterface(earlier []fileUplink) {
	for _, e := range earlier {
		if e.interfaceName() != u.interfaceName() {
			if e.hasValidInterface() && u.hasValidInterface() && uplinks.LinksOverlap(e.interfaceName(), u.interfaceName()) {
				u.addOverlap(e)
				return
			}
			continue
		}
		if !u.sharesWith(e) {
			u.addSharedInterface(e)
			return
		}
		u.checkDistinctRouters(e)
	}
}

// addOverlap reports that a link can be the interface of both uplinks.
func (u fileUplink) addOverlap(e fileUplink) {
	at, where := u.interfacePlaces(e)
	u.src.addMistake(at, fmt.Sprintf("interface %q matches %q too, the interface of uplink %q (%s)", u.interfaceName(), e.interfaceName(), e.name, where),
		"write patterns that match the interfaces of one uplink each, or names")
}

// hasValidInterface reports whether the name or pattern of the uplink's interface is valid.
func (u fileUplink) hasValidInterface() bool {
	message, _ := checkUplinkInterface(u.interfaceName())
	return message == ""
}

// interfacePlaces returns where the uplink has its interface, and where another one has its own.
func (u fileUplink) interfacePlaces(e fileUplink) (at textRange, where string) {
	at, where = u.nameRange(), e.location()
	if u.iface != nil {
		at = u.iface.valueRange()
	}
	if e.iface != nil {
		where = e.iface.location()
	}
	return at, where
}

// addSharedInterface reports that another uplink has the uplink's interface.
func (u fileUplink) addSharedInterface(e fileUplink) {
	at, where := u.interfacePlaces(e)
	u.src.addMistake(at, fmt.Sprintf("interface %q is already used by uplink %q (%s)", u.interfaceName(), e.name, where),
		"give each uplink its own interface, or the address of another router as its gateway in each family")
}

// sharesWith reports whether both uplinks can be on one interface: they have other gateways in each family that both have, and
// at most one of them is automatic.
func (u fileUplink) sharesWith(e fileUplink) bool {
	mine4, mine6 := u.writtenGateways()
	theirs4, theirs6 := e.writtenGateways()
	other := func(a, b uplinks.Gateway) bool { return a != b || a == uplinks.Gateway{} }
	return other(mine4, theirs4) && other(mine6, theirs6) && (mine4 != uplinks.Gateway{} || mine6 != uplinks.Gateway{})
}

// writtenGateways returns the gateways of both families as written. It reports no mistakes.
func (u fileUplink) writtenGateways() (v4, v6 uplinks.Gateway) {
	for _, t := range u.gateway {
		switch a, err := netip.ParseAddr(t.val); {
		case err == nil && a.Is4():
			v4 = uplinks.Gateway{Addr: a}
		case err == nil:
			v6 = uplinks.Gateway{Addr: a.WithZone("")}
		}
	}
	for _, t := range u.gateway {
		if (t.val == auto || t.val == autoIPv4) && v4 == (uplinks.Gateway{}) {
			v4.Auto = true
		}
		if (t.val == auto || t.val == autoIPv6) && v6 == (uplinks.Gateway{}) {
			v6.Auto = true
		}
	}
	return v4, v6
}

// checkDistinctRouters reports routers and hardware addresses that another uplink on the interface has too.
func (u fileUplink) checkDistinctRouters(e fileUplink) {
	for _, t := range u.routers {
		if t.val == anyRouter && e.wantsAnyRouter() {
			t.addMistake("write it at one uplink of the interface", "uplink %q has routers = \"any\" too, on the same interface (%s)", e.name, e.location())
		}
		for _, o := range slices.Concat(e.routers, e.gateway) {
			if sameAddr(t.val, o.val) {
				t.addMistake("name each router at one uplink", "routers: %s is a router of uplink %q too (%s)", t.val, e.name, o.location())
			}
		}
	}
	for _, t := range u.gateway {
		for _, o := range e.routers {
			if sameAddr(t.val, o.val) {
				t.addMistake("name each router at one uplink", "gateway %s is a router of uplink %q too (%s)", t.val, e.name, o.location())
			}
		}
	}
	for _, t := range u.macs {
		for _, o := range e.macs {
			mine, bad := net.ParseMAC(t.val)
			theirs, failed := net.ParseMAC(o.val)
			if bad == nil && failed == nil && slices.Equal(mine, theirs) {
				t.addMistake("name each router at one uplink", "mac: %s is a router of uplink %q too (%s)", t.val, e.name, o.location())
			}
		}
	}
}

// sameAddr reports whether both texts are the same address, whatever their zones.
func sameAddr(a, b string) bool {
	x, bad := netip.ParseAddr(a)
	y, failed := netip.ParseAddr(b)
	return bad == nil && failed == nil && x.WithZone("") == y.WithZone("")
}

// checkOutboundLinks reports uplinks that share an interface where outbound connections are configured: they are distinguished by
// the link that they leave by.
func (c *Config) checkOutboundLinks(f *fileOutbound, ups []fileUplink) {
	for i, u := range ups {
		for _, e := range ups[:i] {
			if e.interfaceName() == u.interfaceName() {
				f.addMistake("give each uplink its own interface, or remove [outbound]", "outbound connections cannot be distinguished on %q, the interface of the uplinks %q and %q", u.interfaceName(), e.name, u.name)
				return
			}
		}
	}
}
