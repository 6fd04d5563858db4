package config

import (
	"fmt"
	"net/netip"

	"replypath/uplinks"
)

// The gateways that are read from the kernel's routes (DHCP, router advertisements, PPP): of both families, or of one.
const (
	auto     = "auto"
	autoIPv4 = "auto-ipv4"
	autoIPv6 = "auto-ipv6"
)

// gatewayList collects an uplink's gateways.
type gatewayList struct {
	link   string
	v4, v6 uplinks.Gateway
	given  map[string]stringValue
}

// resolveGateways checks the gateways of an uplink. "auto" applies to the families without an address, "auto-ipv4" and
// "auto-ipv6" to that family alone.
func resolveGateways(written []stringValue, link string) (v4, v6 uplinks.Gateway) {
	g := gatewayList{link: link, given: map[string]stringValue{}}
	for _, t := range written {
		g.add(t)
	}
	_, both := g.given[auto]
	g.v4.Auto = g.resolveAuto(autoIPv4, both, g.v4)
	g.v6.Auto = g.resolveAuto(autoIPv6, both, g.v6)
	return g.v4, g.v6
}

// resolveAuto reports whether the gateway of a family is read from the kernel's routes, given the word for it, and whether
// the list has "auto" for both. A word that changes nothing is a mistake.
func (g *gatewayList) resolveAuto(word string, both bool, written uplinks.Gateway) bool {
	own, given := g.given[word]
	switch {
	case given && written.Addr.IsValid():
		own.addMistake("remove one of them", "gateway %s is for the family of %s", word, written.Addr)
	case given && both:
		own.addMistake("remove it", `gateway "auto" is for the family of %s too`, word)
	}
	return (given || both) && !written.Addr.IsValid()
}

// add checks and adds one gateway.
func (g *gatewayList) add(t stringValue) {
	if t.val == auto || t.val == autoIPv4 || t.val == autoIPv6 {
		g.markGiven(t, t.val)
		return
	}
	addr, message, remedy := g.parse(t.val)
	switch {
	case message != "":
		t.addMistake(remedy, "gateway %s", message)
	case !g.markGiven(t, addr.String()):
	case addr.Is4():
		setGateway(&g.v4, addr, t, "IPv4")
	default:
		setGateway(&g.v6, addr, t, "IPv6")
	}
}

// markGiven records a gateway. It reports a mistake and returns false if the list has it already.
func (g *gatewayList) markGiven(t stringValue, spelling string) bool {
	if _, twice := g.given[spelling]; twice {
		t.addMistake("remove one of them", "gateway %s is listed twice", spelling)
		return false
	}
	g.given[spelling] = t
	return true
}

func setGateway(g *uplinks.Gateway, addr netip.Addr, t stringValue, family string) {
	if g.Addr.IsValid() {
		t.addMistake("keep one gateway per family", "%s is a second %s gateway besides %s", addr, family, g.Addr)
		return
	}
	g.Addr = addr
}

// parse parses an address and drops its zone, which must be the uplink's interface if there is one. The message begins with the address.
func (g *gatewayList) parse(s string) (addr netip.Addr, message, remedy string) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if prefix, err := netip.ParsePrefix(s); err == nil {
			return addr, fmt.Sprintf("%q has a prefix length", s), "write the address alone: " + prefix.Addr().String()
		}
		return addr, fmt.Sprintf("%q is not an IP address", s), `write an IPv4 or IPv6 address, or "auto", or "auto-ipv4" or "auto-ipv6" for one family alone`
	}
	if zone := addr.Zone(); zone != "" && zone != g.link {
		return addr, fmt.Sprintf("%q is not on the uplink's interface %q", s, g.link), "remove the % and everything after it"
	}
	addr = addr.WithZone("")
	if addr.Is4In6() {
		return addr, fmt.Sprintf("%s is %s", addr, notUnicast(addr)), "write it as " + addr.Unmap().String()
	}
	if is := notUnicast(addr); is != "" {
		return addr, fmt.Sprintf("%s is %s", addr, is), `write the router's own address, or "auto"`
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
