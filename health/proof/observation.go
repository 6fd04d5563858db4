package proof

import "net/netip"

// Hook is a place in the kernel's packet flow (nftables hook and priority) at which packets are observed.
type Hook uint8

// The hooks in the order of the packet flow: those of a request up to RequestEgress, those of its reply from ReplyPrerouting on.
const (
	PreroutingStart   Hook = iota + 1 // PREROUTING, before all other chains
	PreroutingMarked                  // PREROUTING, after mangle, where replypath's chains mark the packet
	InputStart                        // INPUT, before all other chains: routed to the host, source check passed
	InputEnd                          // INPUT, after all other chains: accepted by the firewall
	ForwardStart                      // FORWARD, before all other chains: routed to another host
	ForwardEnd                        // FORWARD, after all other chains
	RequestEgress                     // POSTROUTING, when a request would leave by an uplink
	ReplyPrerouting                   // PREROUTING, after mangle: the reply of another host
	ReplyForward                      // FORWARD, before all other chains: the reply of another host, as it was routed
	OutputStart                       // OUTPUT, before all other chains: the reply of this host
	OutputEnd                         // OUTPUT, after all other chains
	ReplyEgress                       // POSTROUTING, before mangle
	ReplyCounted                      // POSTROUTING, after mangle, before its connection gets the mark back that was cleared there
	PostroutingEnd                    // POSTROUTING, after all other chains: a reply that is dropped there
	PostroutingPassed                 // the same: a reply that goes on to the egress of its link
)

// Observation is a request of the peer, or a reply to it, at a hook. It carried the secret of the proof.
type Observation struct {
	Hook  Hook
	Proto uint8      // IPPROTO_*; of an ICMP error, that of the packet that it is about
	Peer  netip.Addr // its source is the peer, or its destination
	Port  uint16     // the peer's port, or the identifier of an echo
	Error bool       // it is an ICMP error
	Host  netip.AddrPort
	Link  int    // the index of the ingress interface, of a reply of this host that of the egress interface
	Mark  uint32 // of the packet, unmasked
	State ConnectionState
	// Of its connection, and 0 when it has none, at PreroutingMarked, InputEnd, ForwardEnd, ReplyPrerouting, OutputEnd, ReplyCounted and
	// at the end of POSTROUTING:
	Ctmark uint32 // unmasked
	Zone   uint16 // not at PreroutingMarked
	Taken  bool   // at PreroutingMarked: the connection was there before the request
}

// ConnectionState is what connection tracking knows of a packet (NFT_CT_STATE, linux/netfilter/nf_conntrack_common.h).
type ConnectionState uint32

// The states.
const (
	StateInvalid     ConnectionState = 1 << 0 // no connection, though packets are tracked
	StateEstablished ConnectionState = 1 << 1
	StateRelated     ConnectionState = 1 << 2 // an ICMP error about a connection
	StateNew         ConnectionState = 1 << 3
	StateUntracked   ConnectionState = 1 << 6 // exempt from connection tracking
)

// EgressObservation is a reply in POSTROUTING, before replypath's chains.
type EgressObservation struct {
	Proto   uint8
	Peer    netip.Addr
	Port    uint16
	Source  netip.Addr // of the reply
	Sport   uint16     // its source port; 0: it is an echo
	Link    int        // the index of the interface that it would have left by
	NextHop netip.Addr // the gateway, or the peer
	State   ConnectionState
}

// IsReply reports whether connection tracking took it for a reply.
func (e EgressObservation) IsReply() bool { return e.State&(StateEstablished|StateRelated) != 0 }

// Observations are all packets that were captured.
type Observations struct {
	Hooks  []Observation
	Egress []EgressObservation
	Wire   []WireObservation
	// WireObserved reports that the kernel has chains at the egress of links.
	WireObserved bool
	Output       *Output // what the kernel consulted behind the routes; nil: unknown
}

// Count returns the number of observations.
func (o Observations) Count() int { return len(o.Hooks) + len(o.Egress) + len(o.Wire) }

// WireObservation is a reply at the egress of a link, after the chains of other programs. It is dropped there.
type WireObservation struct {
	Proto uint8
	Peer  netip.Addr
	Port  uint16
	Host  netip.AddrPort // its source
	Link  int
	Mark  uint32
	MAC   string // the destination of its Ethernet frame, raw; empty: the link has no such frames
	TTL   uint8  // or its hop limit; 0: not known
}
