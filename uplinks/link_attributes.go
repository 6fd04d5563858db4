package uplinks

// LinkAttributes are attributes of a link that do not affect where packets go.
type LinkAttributes struct {
	MTU        int    // bytes
	Kind       string // IFLA_INFO_KIND: wireguard, veth, ...; "device" for hardware
	FixedLocal bool   // a tunnel with a configured local address
}
