package inspect

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// inspectUplink returns the findings of one uplink. hostAddrs has the host's addresses: none of them can be a gateway.
func inspectUplink(s uplinks.Settings, u uplinks.Uplink, f uplinks.Facts, hostAddrs map[netip.Addr]bool) []Finding {
	l, present := f.Links[u.Link]
	switch {
	case !present:
		return []Finding{absentLinkFinding(s, u, f)}
	case l.VRF != 0:
		return []Finding{{
			What: fmt.Sprintf("uplink %s: %s is in a VRF, whose table %d the kernel looks up before replypath's rules: the uplink is not managed", u.Name, l.Name, l.VRF),
			Remedy: fmt.Sprintf("take the link out of the VRF (ip link set %s nomaster), or remove the uplink from the configuration: sockets in a VRF reply by its table, with a default route there (ip route add default via GATEWAY dev %s table %d)",
				l.Name, l.Name, l.VRF),
		}}
	case l.Master != 0:
		return []Finding{portFinding(u, l, f)}
	}
	all := slices.Concat(severalLinksFindings(s, u, f), addresslessFindings(u, l), drainedFindings(s, f, u), sharedLinkFindings(s, u, f), anyRouterFindings(u, l))
	for _, family := range f.Families() {
		if out, is := f.LeftOutPath(s, u, family); is {
			all = append(all, Finding{What: out.String(), Remedy: out.Remedy})
			continue
		}
		all = append(all, inspectGateway(u, l, family, hostAddrs)...)
		all = append(all, otherRouterFindings(s, u, f, family)...)
	}
	return all
}

// portFinding reports a link that is a port of a bridge, a bond or a team.
func portFinding(u uplinks.Uplink, l uplinks.Link, f uplinks.Facts) Finding {
	master := f.MasterOf(l)
	return Finding{
		What: fmt.Sprintf("uplink %s: %s is a port of the %s %s, by which its packets come in: the uplink is not managed",
			u.Name, l.Name, cmp.Or(f.Links[master].Kind, "link"), master),
		Remedy: fmt.Sprintf("write interface = %q instead of %q", master, l.Name),
	}
}

// addresslessFindings reports a link with a carrier but without any address from which the host could reply. A link with
// a default route needs none: the hosts behind this one may have them. That of the standby node of a pair has none.
func addresslessFindings(u uplinks.Uplink, l uplinks.Link) []Finding {
	if len(u.VIPs) > 0 || !l.Up || !l.Carrier || l.SourceAddr(uplinks.IPv4).IsValid() || l.SourceAddr(uplinks.IPv6).IsValid() || len(l.Defaults) > 0 {
		return nil
	}
	return []Finding{{
		What:   fmt.Sprintf("uplink %s: %s has no IPv4 address and no global IPv6 address: no request to this host comes in by it", u.Name, l.Name),
		Remedy: fmt.Sprintf("give %s its address, or correct interface", l.Name),
	}}
}

// otherRouterFindings reports a configured gateway where main's default routes by the link lead to another router, which is not
// that of another uplink. A router
// has a link-local and a global address in IPv6, so that these two are not compared.
func otherRouterFindings(s uplinks.Settings, u uplinks.Uplink, f uplinks.Facts, family uplinks.Family) []Finding {
	l := f.Links[u.Link]
	gateway, routers := u.Gateway(family).Addr, mainRouters(l, family)
	if !gateway.IsValid() || len(routers) == 0 || slices.Contains(routers, gateway) || routers[0].IsLinkLocalUnicast() != gateway.IsLinkLocalUnicast() || isRouterOfLink(s, f, l.Name, routers[0]) {
		return nil
	}
	return []Finding{{
		What:   fmt.Sprintf("uplink %s: its %s gateway is %s, but main leaves by another router on %s: %s", u.Name, family, gateway, l.Name, routers[0]),
		Remedy: fmt.Sprintf(`if that is the provider's router, write %q or "auto"; otherwise delete main's default route by it`, routers[0]),
	}}
}

// mainRouters returns the gateways of main's default routes by the link, the preferred one first.
func mainRouters(l uplinks.Link, family uplinks.Family) (all []netip.Addr) {
	for _, hop := range l.Defaults {
		if hop.Family == family && hop.Table == uplinks.MainTable && hop.Gateway.IsValid() {
			all = append(all, hop.Gateway)
		}
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

// drainedFindings reports an uplink that the operator took out of outbound.
func drainedFindings(s uplinks.Settings, f uplinks.Facts, u uplinks.Uplink) []Finding {
	if !f.Drained[u.Name] || !s.Outbound.Enabled() {
		return nil
	}
	return []Finding{{What: fmt.Sprintf("uplink %s: it is drained: new outbound connections take others", u.Name), Remedy: "replypath undrain " + u.Name}}
}
