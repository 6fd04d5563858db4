package health

import (
	"net/netip"

	"replypath/marks"
	"replypath/uplinks"
)

// Key identifies a Path: an uplink in one address family.
type Key struct {
	Uplink string
	Family uplinks.Family
}

// Path is an uplink in one address family as the kernel has it now: all that is needed to send a packet through it. Paths
// are comparable: two equal ones send alike.
type Path struct {
	Key
	ID          marks.ID
	Link        string
	Alias       string        // the alternative name or the pattern that is configured, if Link is a link that it has found
	VRF         uplinks.Table // of the VRF that the link is enslaved to, which is looked up before the rules; 0: none
	Master      string        // the bridge, bond or team that the link is a port of, by which its packets come in; empty: none
	LeftOut     string        // why the path is not applied although it is configured; empty: it is
	Index       int           // of the link; 0: there is none
	Up          bool          // IFF_UP
	Carrier     bool          // IFF_LOWER_UP
	Standby     netip.Addr    // the first VIP of the family while the link has no address in it; invalid: none is configured, or it has one
	VIP         VIPPlace      // of the VIPs of the family
	Source      netip.Addr    // the source address of the host's own packets; invalid: there is none in the family
	SharedLink  bool          // other uplinks are on the link too: they are distinguished by the hardware addresses of their routers
	Gateway     netip.Addr    // invalid: unknown, or none is needed
	OnLink      bool          // point to point, or a route without gateway: no gateway is needed
	GatewayAuto bool          // the gateway is taken from the kernel's routes: the provider may not offer the family at all
	Mark        marks.Mark
	Mask        marks.Mask
	Table       uplinks.Table
	RouterMAC   string // the first hardware address of the uplink's routers that the configuration names, in text form
}

// VIPPlace says where the VIPs of an uplink in a family are; empty: none are configured.
type VIPPlace string

// The places. VIPs of which some are here are here.
const (
	VIPHere VIPPlace = "here"
	VIPAway VIPPlace = "away"
)

// SameRoute reports whether packets leave by both paths alike, whatever the flags of their links and the place of the VIPs.
func (p Path) SameRoute(o Path) bool {
	p.Up, p.Carrier, p.VIP = o.Up, o.Carrier, o.VIP
	return p == o
}
