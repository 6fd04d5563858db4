package world

// Options are the differences from the default world. Uplinks are named by their index: 0 is eth0.
type Options struct {
	NoDefault  bool        // the gateway's main table has no default routes
	NoIPv6     bool        // no IPv6 address and route anywhere
	Spoofable  bool        // the ISPs let pass what does not come from their own prefix
	Narrow     map[int]int // the MTU of the hop from an uplink's ISP to the client, seen by packets to the client only
	Neighbours []int       // uplinks that have a neighbour: a host in the uplink's own prefix, .77, behind a bridge
	SecondAddr []int       // uplinks whose link on the gateway has a second address, .3
	// By uplink, what makes its links where its addresses are not on the wire's ends: it sets Link and Side.
	ReplaceLink map[int]func(*Internet, *Uplink)
	// The gateway's uplinks are down and have no addresses, and the gateway has no default routes and forwards nothing:
	// something else gives it the addresses that the ISPs expect.
	Unconfigured bool
}
