package uplinks

import (
	"strings"

	"replypath/marks"
)

// LoadChains changes the chains and hooks of one firewall in one transaction.
type LoadChains struct {
	Firewall FirewallKey
	Change   marks.Change
	Unload   bool // no rule of replypath's is left in the firewall
}

// String returns the iptables commands, one a line.
func (s LoadChains) String() string {
	var b strings.Builder
	for i, arguments := range s.Change.Commands() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.Firewall.commandLine(arguments))
	}
	return b.String()
}

// Kind returns KindChains.
func (LoadChains) Kind() Kind { return KindChains }

// Removes reports whether no chain of replypath's is left in the firewall.
func (s LoadChains) Removes() bool { return s.Unload }

// Scope returns the whole host.
func (LoadChains) Scope() Scope { return Scope{} }

// WriteTo loads the chains.
func (s LoadChains) WriteTo(w Writer) { w.LoadChains(s) }

func (LoadChains) legend() string { return "" }
