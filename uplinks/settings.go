package uplinks

import (
	"net/netip"

	"replypath/marks"
)

// Settings is what the operator asked for: complete and checked, no value absent.
type Settings struct {
	Mask      marks.Mask
	Priority  Priority // the first of a block of BlockSize rule priorities
	TableBase Table    // an uplink's table is TableBase + its id
	Group     Group    // the link group of every uplink
	Backend   marks.Backend
	Inside    []string // links that reach networks through a gateway and yet are no uplinks
	Uplinks   []Uplink // in the order of their ids
}

// Uplink is one way out of the host, as the operator asked for it.
type Uplink struct {
	Name     string
	ID       marks.ID
	Link     string  // the interface's name
	Gateway4 Gateway // the zero Gateway: IPv4 on this uplink is left alone
	Gateway6 Gateway // the zero Gateway: IPv6 on this uplink is left alone
	WhenDown WhenDown
}

// Gateway says how an uplink's next hop is known. At most one of the fields is set.
type Gateway struct {
	Auto bool       // learnt from the kernel's own routes
	Addr netip.Addr // written in the configuration
}

// WhenDown says what becomes of replies that have no way back by their own uplink.
type WhenDown string

// Hold refuses such replies; Release lets them go by the main table.
const (
	Hold    WhenDown = "hold"
	Release WhenDown = "release"
)

type (
	// Priority is an ip rule's priority ("pref").
	Priority uint32
	// Table is a routing table's number.
	Table uint32
	// Group is a link's group.
	Group uint32
)

// DefaultSettings are the settings of an empty configuration.
func DefaultSettings() Settings {
	return Settings{
		Mask:      marks.DefaultMask,
		Priority:  DefaultPriority,
		TableBase: DefaultTableBase,
		Group:     DefaultGroup,
		Backend:   marks.Auto,
	}
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

// Table returns the number of the uplink's routing table.
func (s Settings) Table(u Uplink) Table { return s.TableBase + Table(u.ID) }

// Mark returns the mark of the uplink's connections and packets.
func (s Settings) Mark(u Uplink) marks.Mark { return s.Mask.Mark(u.ID) }
