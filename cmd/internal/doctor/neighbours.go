package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// eachGateway calls visit with the gateways of the present uplinks.
func (s Snapshot) eachGateway(visit func(u uplinks.Uplink, g egress.LinkAddr)) {
	for _, u := range s.presentUplinks() {
		l := s.Facts.Links[u.Link]
		for _, f := range uplinks.Families {
			if hop, known := l.NextHop(u.Gateway(f), f); known && hop.Gateway.IsValid() {
				visit(u, egress.LinkAddr{Link: l.Index, Addr: hop.Gateway.WithZone("")})
			}
		}
	}
}

// checkNeighbours reports neighbour entries of gateways by which packets do not reach them.
func (s Snapshot) checkNeighbours() (all []Finding) {
	s.eachGateway(func(u uplinks.Uplink, g egress.LinkAddr) {
		n, found := s.Egress.FindNeighbour(g.Link, g.Addr)
		mac, heard := s.GatewayMACs[g]
		f := Finding{ID: "neighbour", Evidence: []string{"ip neigh: " + s.Egress.NeighbourText(n)}}
		if heard {
			f.Evidence = append(f.Evidence, "it replies from "+egress.MACText(mac))
		}
		other, shared := s.OtherGatewayMACs[g]
		if shared {
			f.Evidence = append(f.Evidence, "and from "+egress.MACText(other))
		}
		remove := fmt.Sprintf("ip neigh del %s dev %s", g.Addr, u.Link)
		switch {
		case !found, s.Egress.Links[g.Link].NoARP:
			return
		case n.State == egress.Permanent && heard && mac != n.MAC:
			f.Severity, f.Remedy = Error, remove
			f.Message = fmt.Sprintf("the permanent neighbour entry of %s's gateway has another hardware address than the gateway: all packets by %s are lost", u.Name, u.Link)
		case n.State == egress.Permanent && !heard:
			f.Severity, f.Remedy = Note, "nothing, if the address is right; otherwise "+remove
			f.Message = fmt.Sprintf("the neighbour entry of %s's gateway is permanent, and the gateway did not reply: packets are lost when its hardware changes", u.Name)
		case shared && n.State != egress.Permanent && !ownsBoth(u, mac, other):
			f.Severity, f.Remedy = Warning, fmt.Sprintf("find the host with the same address, or the router that answers for it (proxy_arp, proxy_ndp): arping -D -I %s %s; name both in mac if they are a pair", u.Link, g.Addr)
			f.Message = fmt.Sprintf("two hosts reply for the address of %s's gateway: packets go to the one whose reply the kernel took last", u.Name)
		case n.State == egress.Failed:
			f.Severity, f.Remedy = Warning, fmt.Sprintf("check that the gateway is reachable, and that no rule drops ARP or neighbour discovery (arptables -S, nft list ruleset arp): arping -I %s %s", u.Link, g.Addr)
			f.Message = fmt.Sprintf("the kernel cannot resolve the hardware address of %s's gateway", u.Name)
		case heard && n.MAC != "" && mac != n.MAC && n.State.Valid() && n.State != egress.Permanent:
			f.Severity, f.Remedy = Warning, fmt.Sprintf("find the host with the same address: arping -D -I %s %s", u.Link, g.Addr)
			f.Message = fmt.Sprintf("the kernel has another hardware address for %s's gateway than the gateway replies from: two hosts may have its address", u.Name)
		default:
			return
		}
		all = append(all, f)
	})
	return all
}

// ownsBoth reports whether the configuration names both hardware addresses as those of the uplink's routers.
func ownsBoth(u uplinks.Uplink, a, b string) bool {
	return slices.Contains(u.MACs, egress.MACText(a)) && slices.Contains(u.MACs, egress.MACText(b))
}

// withoutResolution are the kinds of links that resolve no neighbours although they have Ethernet addresses.
var withoutResolution = []string{"dummy", "ipvlan", "ipvtap", "ifb", "vrf", "nlmon"}

// checkARPOff reports Ethernet links of uplinks without ARP: all packets to a gateway are sent to their own hardware address.
func (s Snapshot) checkARPOff() (all []Finding) {
	for _, u := range s.presentUplinks() {
		l := s.Egress.Links[s.Facts.Links[u.Link].Index]
		if !l.NoARP || !l.Ethernet || slices.Contains(withoutResolution, l.Kind) {
			continue
		}
		all = append(all, Finding{ID: "arp-off", Severity: Error, Evidence: []string{l.Name + " has the flag NOARP"},
			Message: fmt.Sprintf("ARP and neighbour discovery are off on %s: packets to its gateway are sent to the link's own hardware address, and are lost", u.Link),
			Remedy:  "ip link set dev " + u.Link + " arp on"})
	}
	return all
}
