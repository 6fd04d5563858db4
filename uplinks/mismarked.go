package uplinks

import (
	"fmt"
	"net/netip"
)

// MismarkedConnections counts the connections to an address of one uplink that have the mark of another: their replies leave by
// that other one. The ids of two nodes that copy their connections to each other may differ.
type MismarkedConnections struct {
	To      netip.Addr `json:"to"`
	Uplink  string     `json:"uplink"` // that has the address
	Marked  string     `json:"marked"` // the uplink whose mark they have
	Count   int        `json:"count"`  // of those that were read
	Example string     `json:"example"`
}

// String describes the connections for people.
func (m MismarkedConnections) String() string {
	connections := fmt.Sprintf("%d connections", m.Count)
	if m.Count == 1 {
		connections = "1 connection"
	}
	return fmt.Sprintf("%s to %s, an address of uplink %s, with the mark of uplink %s, such as %s", connections, m.To, m.Uplink, m.Marked, m.Example)
}

// MismarkedRemedy says what to do about MismarkedConnections.
const MismarkedRemedy = "on a pair, give the uplinks the same ids on both nodes (replypath check --peer URL); requests that do come in by the other uplink need no change"

// AddressOwners returns the uplink of each address, of its VIPs too. An address of several uplinks has no owner.
func (s Settings) AddressOwners(f Facts) map[netip.Addr]Uplink {
	owners := map[netip.Addr]Uplink{}
	shared := map[netip.Addr]bool{}
	add := func(a netip.Addr, u Uplink) {
		if o, known := owners[a]; known && o.Name != u.Name {
			shared[a] = true
		}
		owners[a] = u
	}
	for _, u := range s.Uplinks {
		l, _ := f.LinkOf(u)
		for _, a := range l.Addrs {
			if !a.LinkLocal {
				add(a.Prefix.Addr(), u)
			}
		}
		for _, a := range u.VIPs {
			add(a, u)
		}
	}
	for a := range shared {
		delete(owners, a)
	}
	return owners
}
