package uplinks

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
)

// ForeignSource counts the connections that began inside and leave by an uplink with a source that is not in its networks: its
// provider drops their packets, or sends the replies to another one.
type ForeignSource struct {
	Uplink     string     `json:"uplink"`
	Source     netip.Addr `json:"source"`     // with which they leave
	Translated bool       `json:"translated"` // from another address
	Count      int        `json:"count"`      // of those that were read
	Example    string     `json:"example"`
}

// String describes the connections for people.
func (s ForeignSource) String() string {
	connections, how := "1 connection leaves", "as no rule translates it"
	if s.Count != 1 {
		connections = fmt.Sprintf("%d connections leave", s.Count)
	}
	if s.Translated {
		how = "to which a rule translates it"
	}
	return fmt.Sprintf("%s by %s with the source %s, %s, such as %s", connections, s.Uplink, s.Source, how, s.Example)
}

// OwnSource reports whether the address is in the networks that the provider of the uplink with the mark takes, and the uplink's
// name. It returns true for a mark that is no uplink's.
func (s Settings) OwnSource(f Facts, mark marks.Mark, source netip.Addr) (own bool, uplink string) {
	i := slices.IndexFunc(s.Uplinks, func(u Uplink) bool { return s.Mark(u) == mark&marks.Mark(s.Mask) })
	if i < 0 {
		return true, ""
	}
	networks := outbound{Settings: s, facts: f, family: FamilyOf(source)}.ownNetworks(s.Uplinks[i])
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(source) }), s.Uplinks[i].Name
}
