package uplinks

import (
	"strings"

	"replypath/marks"
)

// LoadChains changes the chains and hooks of one firewall in one transaction.
type LoadChains struct {
	chainsStep
	Firewall FirewallKey
	Change   marks.Change
	Unload   bool // no rule of replypath's is left in the firewall
	Last     bool // nor in marks.NFTTable, which both families share
	Cleanup  bool // it only removes what connections with an old mark needed, see MoveMark
	// Adopt are the connections that get their mark directly after the change.
	Adopt []Pinned
	// Untranslated are the connections that conntrack deletes directly before and after the change, so that their next packet is
	// translated; nil: none.
	Untranslated *Untranslated
}

// String returns the commands of iptables or nft, one a line.
func (s LoadChains) String() string {
	if s.Last {
		return s.Firewall.nftLine("delete table inet " + marks.NFTTable)
	}
	lines := s.Firewall.commandLines(s.Change)
	for _, p := range s.Adopt {
		lines = append(lines, p.command())
	}
	return strings.Join(lines, "\n")
}

// Removes reports whether no chain of replypath's is left in the firewall, or nothing but what was replaced goes.
func (s LoadChains) Removes() bool { return s.Unload || s.Cleanup }

// WriteTo loads the chains.
func (s LoadChains) WriteTo(w Writer) { w.LoadChains(s) }
