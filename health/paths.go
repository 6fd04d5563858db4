package health

import (
	"slices"

	"replypath/uplinks"
)

// Paths returns a Path for each uplink and managed family that the kernel supports, in the order of the settings. The path
// of a link that does not exist has Index 0.
func Paths(s uplinks.Settings, f uplinks.Facts) []Path {
	var all []Path
	s = s.ResolveLinks(f)
	shared := s.HasSharedLinks()
	for _, u := range s.Uplinks {
		for _, family := range uplinks.Families {
			if u.Manages(family) && (family == uplinks.IPv4 || f.IPv6) {
				p := newPath(s, u, f, family)
				p.SharedLink = shared && s.SharesLink(u)
				if p.SharedLink && len(u.MACs) > 0 {
					p.RouterMAC = u.MACs[0]
				}
				all = append(all, p)
			}
		}
	}
	return all
}

func newPath(s uplinks.Settings, u uplinks.Uplink, f uplinks.Facts, family uplinks.Family) Path {
	l := f.Links[u.Link]
	p := Path{Key: Key{u.Name, family}, ID: u.ID, Link: u.Link, Alias: u.Alias(), Mark: s.Mark(u), Mask: s.Mask, Table: s.Table(u),
		GatewayAuto: u.Gateway(family).Auto}
	p.VRF, p.Master = l.VRF, f.MasterOf(l)
	if _, managed := f.LinkOf(u); !managed {
		return p
	}
	if out, is := f.LeftOutPath(s, u, family); is {
		p.LeftOut = out.Reason
	}
	p.Index, p.Up, p.Carrier = l.Index, l.Up, l.Carrier
	nextHop, ok := l.NextHop(u.Gateway(family), family)
	p.Source = l.PathSource(nextHop)
	p.VIP = vipPlace(u, l, family)
	if !p.Source.IsValid() {
		p.Standby = u.VIP(family)
	}
	if ok {
		p.Gateway = nextHop.Gateway
	}
	p.OnLink = l.PointToPoint || ok && !nextHop.Gateway.IsValid()
	return p
}

// vipPlace returns whether the link has one of the uplink's VIPs in the family.
func vipPlace(u uplinks.Uplink, l uplinks.Link, family uplinks.Family) VIPPlace {
	if !u.VIP(family).IsValid() {
		return ""
	}
	for _, a := range l.Addrs {
		if ip := a.Prefix.Addr(); uplinks.FamilyOf(ip) == family && slices.Contains(u.VIPs, ip) {
			return VIPHere
		}
	}
	return VIPAway
}
