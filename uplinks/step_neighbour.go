package uplinks

import (
	"cmp"
	"fmt"
	"net/netip"
)

// NeighbourKey is the place of a permanent neighbour entry of replypath's.
type NeighbourKey struct {
	Link string
	Addr netip.Addr
}

// family returns the family of the address.
func (k NeighbourKey) family() Family { return FamilyOf(k.Addr) }

// SetNeighbour adds a permanent neighbour entry, or replaces the one of its address.
type SetNeighbour struct {
	hostStep
	Key NeighbourKey
	MAC string
}

// DelNeighbour deletes a neighbour entry. It succeeds if there is none.
type DelNeighbour struct {
	hostStep
	Key NeighbourKey
}

// String returns the ip-neighbour(8) command.
func (s SetNeighbour) String() string {
	return fmt.Sprintf("%s neigh replace %s lladdr %s dev %s nud permanent", s.Key.family().IPCommand(), s.Key.Addr, s.MAC, s.Key.Link)
}

// String returns the ip-neighbour(8) command.
func (s DelNeighbour) String() string {
	return fmt.Sprintf("%s neigh del %s dev %s", s.Key.family().IPCommand(), s.Key.Addr, s.Key.Link)
}

// Kind returns KindNeighbour.
func (SetNeighbour) Kind() Kind { return KindNeighbour }

// Kind returns KindNeighbour.
func (DelNeighbour) Kind() Kind { return KindNeighbour }

// Removes returns false.
func (SetNeighbour) Removes() bool { return false }

// Removes returns true.
func (DelNeighbour) Removes() bool { return true }

// WriteTo sets the entry.
func (s SetNeighbour) WriteTo(w Writer) { w.SetNeighbour(s.Key, s.MAC) }

// WriteTo deletes the entry.
func (s DelNeighbour) WriteTo(w Writer) { w.DelNeighbour(s.Key) }

// neighbourSteps returns the steps for neighbour entries.
func neighbourSteps(want, have State) (write, erase Plan) {
	set, del := delta(want.Neighbours, have.Neighbours, compareNeighbours)
	for _, k := range set {
		write = append(write, SetNeighbour{Key: k, MAC: want.Neighbours[k]})
	}
	for _, k := range del {
		erase = append(erase, DelNeighbour{Key: k})
	}
	return write, erase
}

func compareNeighbours(a, b *NeighbourKey) int {
	return cmp.Or(cmp.Compare(a.family(), b.family()), cmp.Compare(a.Link, b.Link), a.Addr.Compare(b.Addr))
}
