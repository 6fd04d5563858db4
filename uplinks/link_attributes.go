package uplinks

// LinkAttributes is what of a link does not change where packets go.
type LinkAttributes struct {
	MTU        int    // bytes
	Kind       string // wireguard, veth, ...; device: a real one
	FixedLocal bool   // a tunnel whose own packets have the address that it was given
}

// MarkedConnections is the connections that have the same mark.
type MarkedConnections struct {
	Mark    uint32
	Count   int
	Example string // of the first: protocol and both ends
}
