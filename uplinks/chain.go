package uplinks

import (
	"cmp"

	"replypath/marks"
)

// FirewallKey identifies a firewall: the mangle table of a family in one of the backends.
type FirewallKey struct {
	Family  Family
	Backend marks.Backend
	Command string // the operator's command: iptables, ip6tables-legacy, ...
}

// ChainKey identifies a chain of replypath.
type ChainKey struct {
	Firewall FirewallKey
	Name     string
}

// HookKey identifies a rule of a built-in chain that jumps to a chain of replypath.
type HookKey struct {
	Firewall FirewallKey
	Hook     marks.Hook
}

// hookInPlace is the state of a hook that needs no change.
var hookInPlace = marks.HookState{Count: 1, Reachable: true}

// compareFirewalls ignores the command, which follows from the other fields.
func compareFirewalls(a, b FirewallKey) int {
	return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Backend, b.Backend))
}

// compareChains sorts by firewall, then by name.
func compareChains(a, b *ChainKey) int {
	return cmp.Or(compareFirewalls(a.Firewall, b.Firewall), cmp.Compare(a.Name, b.Name))
}

// compareHooks sorts by firewall, then by built-in chain and rule.
func compareHooks(a, b *HookKey) int {
	return cmp.Or(compareFirewalls(a.Firewall, b.Firewall), cmp.Compare(a.Hook.Builtin, b.Hook.Builtin), cmp.Compare(a.Hook.Rule.String(), b.Hook.Rule.String()))
}

// commandLine returns the shell command with these arguments on the mangle table.
func (t FirewallKey) commandLine(arguments string) string {
	return t.Command + " -w -t " + marks.MangleTable + " " + arguments
}
