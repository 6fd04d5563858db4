package egress

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Neighbour is an entry of the neighbour table.
type Neighbour struct {
	Link  int
	Addr  netip.Addr
	MAC   string // raw bytes; empty: unknown
	State NeighbourState
	// Protocol is that of the program that made the entry, 0 if it named none. Kernels before 5.2 keep none.
	Protocol uint8
}

// NeighbourLookup is the entry that was found for an address on a link.
type NeighbourLookup struct {
	Neighbour
	Found bool  // there is an entry
	Err   error // why nothing is known
}

// LinkAddr is an address on a link.
type LinkAddr struct {
	Link int // its index
	Addr netip.Addr
}

// Where returns the address and the link of the entry.
func (n Neighbour) Where() LinkAddr { return LinkAddr{n.Link, n.Addr} }

// NeighbourState is the state of an entry (NUD_*, linux/neighbour.h).
type NeighbourState uint16

// The states.
const (
	Incomplete NeighbourState = 0x01
	Reachable  NeighbourState = 0x02
	Stale      NeighbourState = 0x04
	Delay      NeighbourState = 0x08
	Probe      NeighbourState = 0x10
	Failed     NeighbourState = 0x20
	NoARP      NeighbourState = 0x40
	Permanent  NeighbourState = 0x80
)

// Valid reports whether packets to the neighbour are sent at once (NUD_VALID).
func (s NeighbourState) Valid() bool {
	return s&(Permanent|NoARP|Reachable|Probe|Stale|Delay) != 0
}

var neighbourStates = []struct {
	state NeighbourState
	name  string
}{{Permanent, "PERMANENT"}, {NoARP, "NOARP"}, {Reachable, "REACHABLE"}, {Stale, "STALE"}, {Delay, "DELAY"}, {Probe, "PROBE"}, {Failed, "FAILED"}, {Incomplete, "INCOMPLETE"}}

// String returns the name of the state as ip-neighbour(8) prints it.
func (s NeighbourState) String() string {
	for _, known := range neighbourStates {
		if s&known.state != 0 {
			return known.name
		}
	}
	return "NONE"
}

// FindNeighbour returns the entry for the address on the link.
func (s State) FindNeighbour(link int, a netip.Addr) (Neighbour, bool) {
	a = a.WithZone("")
	for _, n := range s.Neighbours {
		if n.Link == link && n.Addr == a {
			return n, true
		}
	}
	return Neighbour{}, false
}

// UpdateNeighbours replaces the entries for the same addresses, and adds those that are new.
func (s *State) UpdateNeighbours(newer []Neighbour) {
	for _, n := range newer {
		i := slices.IndexFunc(s.Neighbours, func(old Neighbour) bool { return old.Where() == n.Where() })
		if i < 0 {
			s.Neighbours = append(s.Neighbours, n)
		} else {
			s.Neighbours[i] = n
		}
	}
}

// NeighbourText returns the entry as ip-neighbour(8) prints it.
func (s State) NeighbourText(n Neighbour) string {
	words := []string{n.Addr.String(), "dev", s.LinkName(n.Link)}
	if n.MAC != "" {
		words = append(words, "lladdr", MACText(n.MAC))
	}
	return strings.Join(append(words, n.State.String()), " ")
}

// NeighboursWith returns the addresses on the link whose entries have the hardware address.
func (s State) NeighboursWith(link int, mac string) (all []netip.Addr) {
	for _, n := range s.Neighbours {
		if n.Link == link && n.MAC == mac && n.State.Valid() {
			all = append(all, n.Addr)
		}
	}
	return all
}

// RawMAC returns a hardware address in text form as bytes, empty if it is none.
func RawMAC(text string) string {
	mac, _ := net.ParseMAC(text)
	return string(mac)
}

// MACText returns a hardware address in text form.
func MACText(mac string) string { return net.HardwareAddr(mac).String() }
