package config

import (
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// resolveVIPs returns the addresses of the uplink that move between the nodes of a pair.
func (u fileUplink) resolveVIPs(gateways ...uplinks.Gateway) (all []netip.Addr) {
	for _, t := range u.vips {
		a, message, remedy := parseVIP(t.val)
		switch {
		case message != "":
			t.addMistake(remedy, "vips: %q %s", t.val, message)
		case slices.Contains(all, a):
			t.addMistake("remove one of them", "vips lists %s twice", a)
		case slices.ContainsFunc(gateways, func(g uplinks.Gateway) bool { return g.Addr == a }):
			t.addMistake("write the address that the node has while it is in charge", "vips: %s is the gateway of the uplink", a)
		default:
			all = append(all, a)
		}
	}
	return all
}

// parseVIP returns the address, or what is wrong with it and a remedy.
func parseVIP(text string) (a netip.Addr, message, remedy string) {
	const form = `write addresses without prefix lengths, such as "192.0.2.2"`
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, "is not an IP address", form
	}
	if is := notGlobal(a); is != "" {
		return a, "is " + is, "write an address that clients send requests to"
	}
	return a, "", ""
}

// checkDistinctVIPs reports a VIP that an earlier uplink has.
func (u fileUplink) checkDistinctVIPs(earlier []fileUplink) {
	for _, t := range u.vips {
		for _, e := range earlier {
			for _, o := range e.vips {
				if o.val == t.val {
					t.addMistake("name it at the uplink whose provider routes it", "vips: %q is a VIP of uplink %q too (%s)", t.val, e.name, o.location())
				}
			}
		}
	}
}
