package config

import (
	"fmt"
	"net/netip"

	"replypath/uplinks"
)

// auto is the gateway that is read from the kernel's routes (DHCP, router advertisements, PPP).
const auto = "auto"

// gatewayList collects an uplink's gateways.
type gatewayList struct {
	link   string
	v4, v6 uplinks.Gateway
	given  map[string]bool
}

// resolveGateways checks the gateways of an uplink. "auto" applies to the families without an address.
func resolveGateways(written []stringValue, link string) (v4, v6 uplinks.Gateway) {
	g := gatewayList{link: link, given: map[string]bool{}}
	for _, t := range written {
		g.add(t)
	}
	if g.given[auto] {
		g.v4.Auto = !g.v4.Addr.IsValid()
		g.v6.Auto = !g.v6.Addr.IsValid()
	}
	return g.v4, g.v6
}

// add checks and adds one gateway.
func (g *gatewayList) add(t stringValue) {
	spelling, addr := t.val, netip.Addr{}
	if t.val != auto {
		var message, remedy string
		if addr, message, remedy = g.parse(t.val); message != "" {
			t.addMistake(remedy, "%s", message)
			return
		}
		spelling = addr.String()
	}
	if g.given[spelling] {
		t.addMistake("remove one of them", "gateway %s is listed twice", spelling)
		return
	}
	g.given[spelling] = true
	switch {
	case t.val == auto:
	case addr.Is4():
		setGateway(&g.v4, addr, t, "IPv4")
	default:
		setGateway(&g.v6, addr, t, "IPv6")
	}
}

func setGateway(g *uplinks.Gateway, addr netip.Addr, t stringValue, family string) {
	if g.Addr.IsValid() {
		t.addMistake("keep one gateway per family", "%s is a second %s gateway besides %s", addr, family, g.Addr)
		return
	}
	g.Addr = addr
}

// parse parses an address and drops its zone, which must be the uplink's interface if there is one.
func (g *gatewayList) parse(s string) (addr netip.Addr, message, remedy string) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if prefix, err := netip.ParsePrefix(s); err == nil {
			return addr, fmt.Sprintf("gateway %q has a prefix length", s), "write the address alone: " + prefix.Addr().String()
		}
		return addr, fmt.Sprintf("gateway %q is not an IP address", s), `write an IPv4 or IPv6 address, or "auto"`
	}
	if zone := addr.Zone(); zone != "" && zone != g.link {
		return addr, fmt.Sprintf("gateway %q is not on the uplink's interface %q", s, g.link), "remove the % and everything after it"
	}
	addr = addr.WithZone("")
	if addr.Is4In6() {
		return addr, fmt.Sprintf("gateway %s is %s", addr, notUnicast(addr)), "write it as " + addr.Unmap().String()
	}
	if is := notUnicast(addr); is != "" {
		return addr, fmt.Sprintf("gateway %s is %s", addr, is), `write the router's own address, or "auto"`
	}
	return addr, "", ""
}

// notUnicast returns why the address cannot belong to another host, or "".
func notUnicast(addr netip.Addr) string {
	switch {
	case addr.Is4In6():
		return "an IPv4 address in IPv6 form"
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr.IsLoopback():
		return "a loopback address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	}
	return ""
}
