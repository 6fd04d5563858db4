package proof

import "net/netip"

// Hook is a place in the kernel's packet flow (nftables hook and priority) at which packets are observed.
type Hook uint8

// The hooks in the order of the packet flow: those of a request up to RequestEgress, those of its reply from ReplyPrerouting on.
const (
	PreroutingStart  Hook = iota + 1 // PREROUTING, before all other chains
	PreroutingMarked                 // PREROUTING, after mangle, where replypath's chains mark the packet
	InputStart                       // INPUT, before all other chains: routed to the host, source check passed
	InputEnd                         // INPUT, after all other chains: accepted by the firewall
	ForwardStart                     // FORWARD, before all other chains: routed to another host
	ForwardEnd                       // FORWARD, after all other chains
	RequestEgress                    // POSTROUTING, when a request would leave by an uplink
	ReplyPrerouting                  // PREROUTING, after mangle: the reply of another host
	OutputStart                      // OUTPUT, before all other chains: the reply of this host
	OutputEnd                        // OUTPUT, after all other chains
	ReplyEgress                      // POSTROUTING
)

// Observation is a request of the peer, or a reply to it, at a hook.
type Observation struct {
	Hook   Hook
	Peer   netip.Addr
	Port   uint16 // the peer's port, or the identifier of an echo
	Mark   uint32 // of the packet, unmasked
	Ctmark uint32 // of its connection, unmasked; 0 when it has none
}

// EgressObservation is a reply in POSTROUTING, where it is dropped.
type EgressObservation struct {
	Peer    netip.Addr
	Port    uint16
	Source  netip.Addr // of the reply
	Link    int        // the index of the interface that it would have left by
	IsReply bool       // it has the reply direction of its connection
}

// Observations are all packets that were captured.
type Observations struct {
	Hooks  []Observation
	Egress []EgressObservation
}
