package uplinks

import (
	"net/netip"
	"slices"
)

// Facts is what the host is like, apart from what is ours.
type Facts struct {
	IPv6          bool            // the kernel speaks it
	Links         map[string]Link // by name
	ForeignRules  []Rule          // rules of other programs, the kernel's own included, in the order in which it asks them
	RuleProtocols map[Rule]uint8  // of ForeignRules: the protocol number that whoever made the rule gave it
	GatewayRoutes []GatewayRoute  // main's routes through a gateway, in the kernel's order
	// Unlisted is how many more such routes there are by a link: of a full routing table only some are in GatewayRoutes, the first
	// of each link and those to DocumentationPrefixes among them.
	OmittedRoutes      map[string]int
	UnreachableDefault map[Family]bool // main refuses what it has no route for: a default route that is unreachable or the like
	Tools              map[Family]Tool // the iptables commands of the backend that is used
	MixedBackends      bool            // both backends hold rules of others, and the operator has not chosen one
	Originals          map[Tunable]Original
	Scopes             []Scope // what was looked at, when it was not the whole host
}

// Link is a network interface.
type Link struct {
	Name            string
	Index           int
	MAC             string // the bytes of its hardware address; empty: its frames have no Ethernet header
	Up              bool   // IFF_UP
	Carrier         bool   // IFF_LOWER_UP
	Group           Group
	PointToPoint    bool  // IFF_POINTOPOINT: needs no gateway's address
	VRF             Table // of the VRF that it is in; 0: in none
	NoIPv6          bool  // IPv6 is switched off on it, or its MTU is too small for it
	Addrs           []Addr
	Defaults        []NextHop      // of default routes by this link that are not ours, the preferred one first
	Connected       []netip.Prefix // reached directly, by main's routes
	ForeignPrefixes []netip.Prefix // reached through a gateway, by routes of others in an uplink's table
}

// LinkState is how a link is at the moment at which it changes. One that is gone is neither up nor has it a carrier.
type LinkState struct {
	Name    string // empty: no link is meant
	Up      bool   // IFF_UP
	Carrier bool   // IFF_LOWER_UP
}

// Addr is an address of a link.
type Addr struct {
	Prefix     netip.Prefix // the address, and the length of its network
	LinkLocal  bool
	Tentative  bool // duplicate address detection has not ended yet: cannot be a route's src
	Deprecated bool
	Temporary  bool
}

// NextHop is where a default route leads.
type NextHop struct {
	Family  Family
	Table   Table
	Metric  uint32
	Gateway netip.Addr // invalid: none, as on point-to-point links
	OnLink  bool
	MTU     uint32
	AdvMSS  uint32
	Dynamic bool // by DHCP or a router advertisement
	// Preference is that of the router among those with the same metric (RFC 4191): 1, 0 or -1, the highest is taken.
	Preference int8
}

// GatewayRoute is a route of main through a gateway.
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

// SourceAddr is the address that the host's own packets by this link should carry; invalid when it has none to give.
func (l Link) SourceAddr(f Family) netip.Addr {
	var fallback netip.Addr
	for _, a := range l.Addrs {
		ip := a.Prefix.Addr()
		switch {
		case FamilyOf(ip) != f || a.LinkLocal || a.Tentative:
		case a.Deprecated || a.Temporary:
			if !fallback.IsValid() {
				fallback = ip
			}
		default:
			return ip
		}
	}
	return fallback
}

// LinkOf is the uplink's link, if it is there and its packets meet our rules: the kernel's own rule for links in a VRF is
// asked before them.
func (f Facts) LinkOf(u Uplink) (Link, bool) {
	l, present := f.Links[u.Link]
	if !present || l.VRF != 0 {
		return Link{}, false
	}
	return l, true
}

// canSendFrom reports whether the link can carry an answer from its address now.
func (l Link) canSendFrom(a Addr) bool { return l.Up && l.Carrier && !a.Tentative }

// inSourceRules reports whether rules of ours may select by the link's address.
func (l Link) inSourceRules(a Addr) bool { return l.VRF == 0 && !a.LinkLocal }

// sourceRuleAddrs are the addresses by which they may.
func (l Link) sourceRuleAddrs() []netip.Addr { return l.filterAddrs(func(Addr) bool { return true }) }

// hasSourceRuleAddr reports whether the address is one of them.
func (l Link) hasSourceRuleAddr(ip netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(a Addr) bool { return l.inSourceRules(a) && a.Prefix.Addr() == ip })
}

// usableSourceAddrs are those of them from which the link can carry an answer now.
func (l Link) usableSourceAddrs() []netip.Addr { return l.filterAddrs(l.canSendFrom) }

func (l Link) filterAddrs(keep func(Addr) bool) (all []netip.Addr) {
	for _, a := range l.Addrs {
		if l.inSourceRules(a) && keep(a) {
			all = append(all, a.Prefix.Addr())
		}
	}
	return all
}

// isOnLink reports whether a connected prefix of the link holds the address.
func (l Link) isOnLink(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() && a.Is6() {
		return true
	}
	for _, p := range l.Connected {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
