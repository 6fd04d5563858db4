package uplinks

import "net/netip"

// Listener is a TCP socket that waits for connections.
type Listener struct {
	Addr   netip.Addr // unspecified: any address
	Port   uint16
	Link   int  // the index of the only link that it is open to; 0: any
	V6Only bool // to IPv6 alone, though it listens on any address
}

// Accepts reports whether a connection to the address that comes in by the link reaches it.
func (l Listener) Accepts(a netip.Addr, link int) bool {
	switch {
	case l.Link != 0 && l.Link != link:
		return false
	case l.Addr.IsUnspecified():
		return l.Addr.Is4() == a.Is4() || a.Is4() && !l.V6Only
	}
	return l.Addr.Unmap() == a
}
