package health

import (
	"net/netip"

	"replypath/marks"
	"replypath/uplinks"
)

// Key names an uplink in one family.
type Key struct {
	Uplink string
	Family uplinks.Family
}

// Path is an uplink in one family as it is now: how its questions leave. Two paths are the same exactly when they are ==.
type Path struct {
	Key
	ID          marks.ID
	Link        string
	VRF         uplinks.Table // of the VRF that the link is in, where none of our rules is asked; 0: in none
	Index       int           // of the link; 0: there is none
	Up          bool
	Carrier     bool
	Source      netip.Addr // of the host's own packets; invalid: the link has no address in the family
	Gateway     netip.Addr // invalid: none is known, or none is needed
	OnLink      bool       // point to point: needs no gateway
	GatewayAuto bool       // the gateway is left to the kernel to learn: a provider may not offer the family at all
	Mark        marks.Mark
	Mask        marks.Mask
	Table       uplinks.Table
}
