package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// Contains reports whether the list selects the address.
func (l NetworkList) Contains(a netip.Addr) bool {
	has := func(networks []netip.Prefix) bool {
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return (len(l.In) == 0 || has(l.In)) && !has(l.Out)
}

// InterceptedPacket is what decides whether a new connection is intercepted.
type InterceptedPacket struct {
	Link     string // ingress
	Protocol string // tcp or udp
	From, To netip.Addr
	Port     uint16 // destination
	ToHost   bool   // To is an address of this host
}

// InterceptOf returns the intercept that takes the connection, as the firewall rules do.
func (s Settings) InterceptOf(p InterceptedPacket) (Intercept, bool) {
	if s.Interception == nil || p.To.IsMulticast() {
		return Intercept{}, false
	}
	uplink := slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Link == p.Link })
	i := slices.IndexFunc(s.Interception.Intercepts, func(i Intercept) bool {
		inside := p.ToHost && !uplink && len(i.To.In) == 0
		return slices.Contains(i.Links, p.Link) && slices.Contains(i.Protocols, p.Protocol) && slices.Contains(i.Families(), FamilyOf(p.To)) &&
			i.selectsPort(p.Port) && i.Sources.Contains(p.From) && i.To.Contains(p.To) && !inside
	})
	if i < 0 {
		return Intercept{}, false
	}
	return s.Interception.Intercepts[i], true
}

func (i Intercept) selectsPort(port uint16) bool {
	return len(i.Ports) == 0 || slices.ContainsFunc(i.Ports, func(r marks.PortRange) bool { return r.First <= port && port <= r.Last })
}

// ProxyOf returns the socket of the intercept for a family and protocol.
func (i Intercept) ProxyOf(f Family, proto string) Proxy { return i.proxy(f, proto) }
