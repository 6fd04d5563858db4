package uplinks

import (
	"cmp"
	"strings"

	"replypath/marks"
)

// FirewallKey identifies a firewall: a family in one of the backends.
type FirewallKey struct {
	Family  Family
	Backend marks.Backend
	Command string // the operator's command: iptables, ip6tables-legacy, nft, ...
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

// commandLines returns the shell commands of a change.
func (t FirewallKey) commandLines(c marks.Change) (lines []string) {
	if t.Backend == marks.Nftables {
		for _, command := range c.NFTCommands(t.Family == IPv6) {
			lines = append(lines, t.nftLine(command))
		}
		return lines
	}
	parts := c.ByTable()
	for _, table := range marks.Tables {
		for _, arguments := range parts[table].Commands() {
			lines = append(lines, t.Command+" -w -t "+table+" "+arguments)
		}
	}
	return lines
}

// nftLine returns the shell command that runs a command of nft(8).
func (t FirewallKey) nftLine(command string) string {
	return t.Command + " '" + strings.ReplaceAll(command, "'", `'\''`) + "'"
}
