package uplinks

import (
	"net/netip"

	"replypath/marks"
)

// State holds the objects that replypath has, or should have, in the kernel. Its values are compared by ==, those
// which have lists by Equal.
type State struct {
	Tunables map[Tunable]string
	Routes   map[RouteKey]Route
	Rules    map[Rule]bool
	Chains   map[ChainKey]marks.ChainRules
	Hooks    map[HookKey]marks.HookState
	Restored map[Tunable]Original     // in a desired state: the tunables that get their original back
	Pinned   map[FirewallKey][]Pinned // in a desired state: the connections that began before their firewall could pin them
	// Untranslated, in a desired state, are the connections that began before their firewall could translate them.
	Untranslated map[FirewallKey]Untranslated
	// The BPF programs of Settings.UDP, one set at most, and the addresses that they may choose.
	UDPPrograms map[UDPPrograms]bool
	UDPAddrs    map[netip.Addr]bool
	Neighbours  map[NeighbourKey]string  // the hardware addresses of found routers; empty: the entry is not permanent
	Flows       map[marks.FlowState]bool // the flow table of Settings.Accelerate, one at most
	// The table that counts replies by router, one at most; the zero value stands for another one, or a damaged one.
	RouterCounters map[marks.RouterCounters]bool
	// The table that translates sources once more, one at most; the zero value stands for another one, or a damaged one.
	Backup        map[marks.Backup]bool
	EgressFilters map[int]EgressFilter // by the index of the link
	// By the index of the link.
	RouterClassifiers map[int]RouterClassifier
}

// SortedChains returns the keys of the chains in a fixed order.
func (s State) SortedChains() []ChainKey { return sortedKeys(s.Chains, compareChains) }

// LeadsToFoundRouter reports whether a route of ours has a found router as its next hop.
func (s State) LeadsToFoundRouter() bool {
	for _, r := range s.Routes {
		if r.Gateway.IsValid() && IsFoundRouterAddr(r.Gateway) {
			return true
		}
	}
	return false
}

// NewState returns a state without objects.
func NewState() State {
	return State{
		Tunables:     map[Tunable]string{},
		Routes:       map[RouteKey]Route{},
		Rules:        map[Rule]bool{},
		Chains:       map[ChainKey]marks.ChainRules{},
		Hooks:        map[HookKey]marks.HookState{},
		Restored:     map[Tunable]Original{},
		Pinned:       map[FirewallKey][]Pinned{},
		Untranslated: map[FirewallKey]Untranslated{},
		UDPPrograms:  map[UDPPrograms]bool{},
		UDPAddrs:     map[netip.Addr]bool{},
		Neighbours:   map[NeighbourKey]string{},
		Flows:        map[marks.FlowState]bool{},

		RouterCounters: map[marks.RouterCounters]bool{},
		Backup:         map[marks.Backup]bool{},
		EgressFilters:  map[int]EgressFilter{},

		RouterClassifiers: map[int]RouterClassifier{},
	}
}
