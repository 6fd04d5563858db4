package uplinks

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Facts describes the host, without replypath's own objects.
type Facts struct {
	IPv6          bool            // the kernel has IPv6
	Links         map[string]Link // by name
	ForeignRules  []Rule          // rules of the kernel and of other programs, in order of evaluation
	RuleProtocols map[Rule]uint8  // protocol number of each rule in ForeignRules
	GatewayRoutes []GatewayRoute  // main's routes with a gateway, in the kernel's order
	// OmittedRoutes counts, for each link, the gateway routes that are not in GatewayRoutes. Of a full routing table only some
	// are listed: the first of each link, and those to DocumentationPrefixes.
	OmittedRoutes      map[string]int
	UnreachableDefault map[Family]bool        // main has an unreachable, blackhole or prohibit default route
	Delegated          []Delegated            // networks that providers have delegated to this host; empty in partial facts
	Firewalls          map[Family]FirewallKey // the firewall that replypath uses
	Unprotected        string                 // why marks.NFTTable is not protected, although the settings want it
	MixedBackends      bool                   // both iptables backends hold foreign rules, and the settings choose neither
	Originals          map[Tunable]Original   // saved before replypath's first write
	Proxies            map[Proxy]ProxyState   // the sockets of transparent proxies
	ProxyErrors        map[Proxy]string       // why a proxy that is not-answering fails its check
	RouterMACs         map[string][]string    // learnt hardware addresses of routers, by uplink that shares its link
	FoundRouters       []FoundRouter          // the routers that were found by their packets
	MACBits            map[Family]bool        // the firewall has rules with marks.Rule.MACBit; looked for if there are many routers
	IPsec              map[Family]bool        // the firewall has rules with marks.Rule.IPsec; looked for if sources are translated
	Drained            map[string]bool        // the uplinks that the operator has taken out of outbound, by name
	FlowTables         map[string]string      // the flow table of another program that a link is in, by the link
	FlowRefused        string                 // why the kernel refuses the flow table of Settings.Accelerate
	UDPRefused         string                 // why the kernel refuses the programs of Settings.UDP
	Scopes             []Scope                // the scopes of a partial observation; nil: the whole host
	Refused            map[PathKey]string     // why the kernel refuses a route of the path
	// RouterCountersRefused is why the kernel refuses the table that counts replies by router.
	RouterCountersRefused string
	// BackupRefused is why the kernel refuses the table that translates sources once more.
	BackupRefused string
	// EgressFilterRefused is why the kernel refuses filters at egress.
	EgressFilterRefused ProgramRefusal
	// RouterClassifierRefused is why the kernel refuses classifiers at ingress.
	RouterClassifierRefused ProgramRefusal
	// NotForwarding has the paths of uplinks that share a link which does not forward their family.
	NotForwarding map[PathKey]bool
	// Kept has the routes of the paths that are left out and were in force before.
	Kept map[PathKey]map[RouteKey]Route
}

// Link is a network interface.
type Link struct {
	Name            string
	AltNames        []string // alternative names (ip-link(8), altname)
	Index           int
	MAC             string // bytes of the hardware address; empty: no Ethernet header
	Up              bool   // IFF_UP
	Carrier         bool   // IFF_LOWER_UP
	MTU             int
	Group           Group
	PointToPoint    bool   // IFF_POINTOPOINT: routes need no gateway
	VRF             Table  // table of its VRF; 0: none
	NoIPv6          bool   // disable_ipv6, or an MTU below 1280
	Lower           int    // index of the link that it is stacked on: VLAN, macvlan, ipvlan; 0: none in this namespace
	Isolated        bool   // loopback or dummy: no packet comes in by it
	Rerouted        bool   // ipvlan in mode l3 or l3s: its packets are routed once more, by the link below
	Kind            string // IFLA_INFO_KIND: bridge, bond, ...; "device" for hardware
	Master          int    // index of the bridge, bond or team that it is a port of; 0: none
	Addrs           []Addr
	Defaults        []NextHop      // of foreign default routes by this link, the preferred one first
	Connected       []Connected    // main's routes without a gateway
	ForeignPrefixes []netip.Prefix // destinations of foreign gateway routes in an uplink's table
}

// LinkState is the state of a link in a change event. A deleted link is not up and has no carrier.
type LinkState struct {
	Name    string // empty: the event is not about a link
	Up      bool   // IFF_UP
	Carrier bool   // IFF_LOWER_UP
}

// Addr is an address of a link.
type Addr struct {
	Prefix     netip.Prefix // the address with its prefix length
	LinkLocal  bool
	Tentative  bool // duplicate address detection is running: not usable as src
	Deprecated bool
	Temporary  bool
	Leased     bool // it expires unless it is renewed: by DHCP or router advertisements
}

// Connected is a route in main without a gateway: its destinations are on the link.
type Connected struct {
	Dst netip.Prefix
	Src netip.Addr // invalid: none, the kernel selects one
}

// NextHop is the next hop of a default route.
type NextHop struct {
	Family  Family
	Table   Table
	Metric  uint32
	Gateway netip.Addr // invalid: none (point-to-point)
	OnLink  bool
	Src     netip.Addr // invalid: none, the kernel selects one
	Metrics marks.List[Metric]
	Dynamic bool // from DHCP or a router advertisement
	// Preference of the router among routes with the same metric (RFC 4191): 1, 0 or -1; the highest wins.
	Preference int8
}

// GatewayRoute is a route in main with a gateway.
type GatewayRoute struct {
	Dst     netip.Prefix
	Gateway netip.Addr
	Link    string
}

// Families returns the families that the kernel has.
func (f Facts) Families() []Family {
	if f.IPv6 {
		return Families[:]
	}
	return Families[:1]
}

// LinkName returns the name of the link with that index, and false if there is none.
func (f Facts) LinkName(index int) (name string, found bool) {
	for name, l := range f.Links {
		if l.Index == index {
			return name, true
		}
	}
	return "", false
}

// LinkOf returns the uplink's link, and false if the link is absent, in a VRF (the kernel's l3mdev rule comes before
// replypath's rules), or a port of another link, by which its packets come in.
func (f Facts) LinkOf(u Uplink) (Link, bool) {
	l, exists := f.Links[u.Link]
	if !exists || !l.manageable() {
		return Link{}, false
	}
	return l, true
}

// manageable reports whether packets that come in by the link have it as their ingress, and meet replypath's rules.
func (l Link) manageable() bool { return l.VRF == 0 && l.Master == 0 }

// MasterOf returns the name of the link that the link is a port of, its index if that is not known, or "" for none.
func (f Facts) MasterOf(l Link) string {
	if l.Master == 0 {
		return ""
	}
	if name, found := f.LinkName(l.Master); found {
		return name
	}
	return fmt.Sprintf("link %d", l.Master)
}

// canSendFrom reports whether the link can send packets from its address now.
func (l Link) canSendFrom(a Addr) bool { return l.Up && l.Carrier && !a.Tentative }

// inSourceRules reports whether a source rule may select by the link's address.
func (l Link) inSourceRules(a Addr) bool { return l.manageable() && !a.LinkLocal }

// sourceRuleAddrs returns the link's addresses that source rules may select by.
func (l Link) sourceRuleAddrs() []netip.Addr { return l.filterAddrs(func(Addr) bool { return true }) }

// usableSourceAddrs returns those of sourceRuleAddrs from which the link can send now.
func (l Link) usableSourceAddrs() []netip.Addr { return l.filterAddrs(l.canSendFrom) }

// hasSourceRuleAddr reports whether the address is one of sourceRuleAddrs.
func (l Link) hasSourceRuleAddr(ip netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(a Addr) bool { return l.inSourceRules(a) && a.Prefix.Addr() == ip })
}

// filterAddrs returns those of sourceRuleAddrs that keep accepts.
func (l Link) filterAddrs(keep func(Addr) bool) (all []netip.Addr) {
	for _, a := range l.Addrs {
		if l.inSourceRules(a) && keep(a) {
			all = append(all, a.Prefix.Addr())
		}
	}
	return all
}

// IsOnLink reports whether the address is link-local, or main has a route to it by the link without a gateway.
func (l Link) IsOnLink(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() && a.Is6() {
		return true
	}
	for _, c := range l.Connected {
		if c.Dst.Contains(a) {
			return true
		}
	}
	return false
}
