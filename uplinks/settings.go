package uplinks

import (
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
)

// Settings is the validated configuration, with every default filled in. It is persisted as JSON under its field names.
type Settings struct {
	Mask      marks.Mask
	Priority  Priority // the first of a block of BlockSize rule priorities
	TableBase Table    // an uplink's table is TableBase + its id
	Group     Group    // the link group of every uplink
	Backend   marks.Backend
	Protect   bool     `json:",omitempty"` // the service owns marks.NFTTable: no other program can change it
	Inside    []string // links with gateway routes that are not uplinks
	Uplinks   []Uplink // ordered by ID
	// Interception is nil if no transparent proxy is configured.
	Interception *Interception `json:",omitempty"`
	UDP          *UDPAnswers   `json:",omitempty"` // nil: UDP servers are left alone
	Accelerate   *Acceleration `json:",omitempty"` // nil: no connection is in a flow table
	Outbound     Outbound      // the zero value: main chooses the uplink of outbound connections
}

// Uplink is the configuration of one uplink.
type Uplink struct {
	Name     string
	ID       marks.ID
	Link     string  // the interface's name; before ResolveLinks: as configured
	Gateway4 Gateway // zero: IPv4 is not managed
	Gateway6 Gateway // zero: IPv6 is not managed
	WhenDown WhenDown
	VIPs     []netip.Addr `json:",omitempty"` // addresses that move between the nodes of a pair
	// Routers and MACs are further addresses of the uplink's routers, and hardware addresses in lower case, by which it is
	// distinguished from other uplinks on its link.
	Routers []netip.Addr `json:",omitempty"`
	MACs    []string     `json:",omitempty"`
	// AnyRouter says that replies go back to every router on the link that sends packets, known or not.
	AnyRouter bool `json:",omitempty"`
	found     bool // the uplink stands for a FoundRouter
	// alias is the alternative name or pattern that is configured, if Link is the name of a link that it has found.
	alias string
}

// Gateway says where an uplink's next hop comes from. At most one field is set.
type Gateway struct {
	Auto bool       // from the link's default routes (DHCP, router advertisements, static)
	Addr netip.Addr // from the configuration
}

// WhenDown says what happens to replies while their uplink has no route.
type WhenDown string

// Hold refuses the replies; Release routes them by main.
const (
	Hold    WhenDown = "hold"
	Release WhenDown = "release"
)

type (
	// Priority is the priority of an ip rule ("pref").
	Priority uint32
	// Table is the number of a routing table.
	Table uint32
	// Group is the group of a link (ip-link(8), group).
	Group uint32
)

// DefaultSettings returns the settings of an empty configuration.
func DefaultSettings() Settings {
	return Settings{
		Mask:      marks.DefaultMask,
		Priority:  DefaultPriority,
		TableBase: DefaultTableBase,
		Group:     DefaultGroup,
		Backend:   marks.Auto,
	}
}

// UplinkNames returns the names of all uplinks, for people.
func (s Settings) UplinkNames() string {
	names := make([]string, len(s.Uplinks))
	for i, u := range s.Uplinks {
		names[i] = u.Name
	}
	return strings.Join(names, ", ")
}

// Gateway returns the uplink's gateway in one family.
func (u Uplink) Gateway(f Family) Gateway {
	if f == IPv6 {
		return u.Gateway6
	}
	return u.Gateway4
}

// Manages reports whether replypath routes the uplink's replies in the family. Without a gateway it does not: it could
// only refuse them.
func (u Uplink) Manages(f Family) bool { return u.Gateway(f) != Gateway{} }

// VIP returns the first of the uplink's VIPs in the family, the zero Addr if it has none.
func (u Uplink) VIP(f Family) netip.Addr {
	for _, a := range u.VIPs {
		if FamilyOf(a) == f {
			return a
		}
	}
	return netip.Addr{}
}

// Equal reports whether the configurations are equal.
func (u Uplink) Equal(o Uplink) bool {
	return u.Name == o.Name && u.ID == o.ID && u.Link == o.Link && u.Gateway4 == o.Gateway4 && u.Gateway6 == o.Gateway6 &&
		u.WhenDown == o.WhenDown && slices.Equal(u.VIPs, o.VIPs) && slices.Equal(u.Routers, o.Routers) && slices.Equal(u.MACs, o.MACs) && u.AnyRouter == o.AnyRouter
}

// Table returns the number of the uplink's routing table.
func (s Settings) Table(u Uplink) Table { return s.TableBase + Table(u.ID) }

// Mark returns the mark of the uplink's connections and packets.
func (s Settings) Mark(u Uplink) marks.Mark { return s.Mask.Mark(u.ID) }
