package uplinks

// Kind is the kind of kernel object that a step writes. It is published: in plans, events and metrics.
type Kind string

// The kinds of kernel objects.
const (
	KindRule   Kind = "rule"
	KindRoute  Kind = "route"
	KindLink   Kind = "link"
	KindSysctl Kind = "sysctl"
	KindChains Kind = "chains"
	KindUDP    Kind = "udp"   // the BPF programs of [udp]
	KindFlows  Kind = "flows" // the flow table of accelerate

	KindNeighbour Kind = "neighbour" // of a router that was found
)

// Kinds lists all kinds, in the order of summaries.
var Kinds = [...]Kind{KindRoute, KindRule, KindLink, KindSysctl, KindChains, KindUDP, KindFlows, KindNeighbour}
