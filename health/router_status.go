package health

import (
	"net/netip"
	"time"

	"replypath/marks"
)

// RouterKey is a router of an uplink with several.
type RouterKey struct {
	ID  marks.ID // of the uplink
	MAC string   // in lower case
}

// RouterActivity is what is known of a router of an uplink with several.
type RouterActivity struct {
	MAC       string       `json:"mac"`
	Addresses []netip.Addr `json:"addresses"` // of the configured ones, those that have this hardware address now
	Requests  uint64       `json:"requests"`  // packets by which it has begun connections
	// Seen is the time of the last request, or of the last answer to a question for the hardware address; zero: there was none.
	Seen time.Time `json:"seen,omitzero"`
}
