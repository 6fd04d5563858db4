package uplinks

// Nature is what of a link does not change where packets go.
type Nature struct {
	MTU   int    // bytes
	Kind  string // wireguard, veth, ...; device: a real one
	Bound bool   // a tunnel whose own packets have the address that it was given
}

// MarkedFlow is the connections that have the same mark.
type MarkedFlow struct {
	Mark  uint32
	Count int
	Text  string // of the first: protocol and both ends
}
