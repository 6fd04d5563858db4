package inspect

import (
	"fmt"
	"net/netip"

	"replypath/uplinks"
)

// inspectUplink returns the findings of one uplink. hostAddrs has the host's addresses: none of them can be a gateway.
func inspectUplink(u uplinks.Uplink, f uplinks.Facts, hostAddrs map[netip.Addr]bool) []Finding {
	l, present := f.Links[u.Link]
	if !present {
		return []Finding{{
			What:   fmt.Sprintf("uplink %s: there is no link %s yet", u.Name, u.Link),
			Remedy: "apply again when the link exists, or correct interface",
		}}
	}
	if l.VRF != 0 {
		return []Finding{{
			What: fmt.Sprintf("uplink %s: %s is in a VRF, whose table %d the kernel looks up before replypath's rules: the uplink is not managed", u.Name, l.Name, l.VRF),
			Remedy: fmt.Sprintf("take the link out of the VRF (ip link set %s nomaster), or remove the uplink from the configuration: sockets in a VRF reply by its table, with a default route there (ip route add default via GATEWAY dev %s table %d)",
				l.Name, l.Name, l.VRF),
		}}
	}
	var all []Finding
	for _, family := range f.Families() {
		all = append(all, inspectGateway(u, l, family, hostAddrs)...)
	}
	return all
}

// inspectGateway returns the findings about the uplink's gateway in one family. A family without a global address on
// the link needs none.
func inspectGateway(u uplinks.Uplink, l uplinks.Link, family uplinks.Family, hostAddrs map[netip.Addr]bool) (all []Finding) {
	address := l.SourceAddr(family)
	if !address.IsValid() {
		return nil
	}
	hop, known := l.NextHop(u.Gateway(family), family)
	if known && hostAddrs[hop.Gateway] {
		all = append(all, Finding{
			What:   fmt.Sprintf("uplink %s: its %s gateway %s is an address of this host", u.Name, family, hop.Gateway),
			Remedy: "write the router's address",
		})
	}
	switch {
	case !u.Manages(family):
		all = append(all, Finding{
			What:   fmt.Sprintf("uplink %s: %s has the address %s, but no %s gateway is given: %s replies are left to the main table", u.Name, l.Name, address, family, family),
			Remedy: fmt.Sprintf(`add the gateway's address, or "auto", to the gateways of %s`, u.Name),
		})
	case !known:
		all = append(all, Finding{
			What:   fmt.Sprintf("uplink %s: no %s gateway is known: the kernel has no default route by %s", u.Name, family, l.Name),
			Remedy: fmt.Sprintf("write the gateway's address in the configuration of %s", u.Name),
		})
	}
	return all
}
