package uplinks

import "net/netip"

// Listener is a listening TCP socket.
type Listener struct {
	Addr   netip.Addr // unspecified: any address
	Port   uint16
	Link   int  // index of the link that it is bound to (SO_BINDTODEVICE); 0: any
	V6Only bool // IPV6_V6ONLY: the unspecified address does not cover IPv4
}

// Accepts reports whether the socket gets a connection to the address that comes in by the link.
func (l Listener) Accepts(a netip.Addr, link int) bool {
	switch {
	case l.Link != 0 && l.Link != link:
		return false
	case l.Addr.IsUnspecified():
		return l.Addr.Is4() == a.Is4() || a.Is4() && !l.V6Only
	}
	return l.Addr.Unmap() == a
}

// TakesProxied reports whether the socket is where the packets for the proxy arrive: the firewall looks for a socket at the
// configured address, or at one of the ingress link, which a socket at any address has too.
func (l Listener) TakesProxied(p Proxy) bool {
	any := l.Addr.IsUnspecified() && (l.Addr.Is4() == (p.Family == IPv4) || p.Family == IPv4 && !l.V6Only)
	return l.Port == p.Port && (any || p.Addr.IsValid() && l.Addr.Unmap() == p.Addr)
}
