package uplinks

import "net/netip"

// UDPSocket is one that is bound and not connected: it may answer questions.
type UDPSocket struct {
	Addr  netip.Addr // unspecified: any address
	Port  uint16
	Link  int    // the index of the only link that it is open to; 0: any
	Only  bool   // to IPv6 alone, though it listens on any address
	Inode uint32 // by which its process is found
}

// Serves reports whether a question in that family to any address of the host reaches it.
func (s UDPSocket) Serves(f Family) bool {
	return s.Link == 0 && s.Addr.IsUnspecified() && (FamilyOf(s.Addr) == f || f == IPv4 && !s.Only)
}

// Nature is what of a link does not change where packets go.
type Nature struct {
	MTU  int    // bytes
	Kind string // wireguard, veth, ...; device: a real one
}

// MarkedFlow is the connections that have the same mark.
type MarkedFlow struct {
	Mark  uint32
	Count int
	Text  string // of the first: protocol and both ends
}
