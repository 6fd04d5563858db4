package proof

import "net/netip"

// Hook is a place on a packet's walk through the kernel.
type Hook uint8

// The points, in the order of a walk: of a question up to RequestEgress, of its answer from ReplyPrerouting on.
const (
	PreroutingStart  Hook = iota + 1 // before everything, at the very start of PREROUTING
	PreroutingMarked                 // behind mangle in PREROUTING: our chains have been passed
	InputStart                       // at the start of INPUT: routing and source check let it in
	InputEnd                         // at the end of INPUT: the firewall lets it in
	ForwardStart                     // at the start of FORWARD: routing sends it on
	ForwardEnd                       // at the end of FORWARD
	RequestEgress                    // on its way out by an uplink, where no question belongs
	ReplyPrerouting                  // an answer from elsewhere, behind mangle in PREROUTING
	OutputStart                      // an answer of the host's own, at the start of OUTPUT
	OutputEnd                        // at the end of OUTPUT
	ReplyEgress                      // in POSTROUTING
)

// Observation is a packet that was seen at a point: a question of that asker, or an answer to it.
type Observation struct {
	Hook   Hook
	Peer   netip.Addr
	Port   uint16 // the asker's port, or the identifier of an echo
	Mark   uint32 // all of the packet's mark
	Ctmark uint32 // all of its connection's; 0 when it belongs to none
}

// EgressObservation is an answer that was on its way out.
type EgressObservation struct {
	Peer    netip.Addr
	Port    uint16
	Source  netip.Addr // the answer's source
	Link    int        // the index of the link that it would have left by
	IsReply bool       // it is of its connection's reply direction
}

// Observations are all that was seen.
type Observations struct {
	Hooks  []Observation
	Egress []EgressObservation
}
