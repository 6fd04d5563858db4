package uplinks

import (
	"cmp"

	"replypath/marks"
)

// Tool identifies a firewall: a family's rules in one of the backends.
type Tool struct {
	Family  Family
	Backend marks.Backend
	Command string // the operator's command: iptables, ip6tables-legacy, ...
}

// ChainKey identifies a chain of replypath.
type ChainKey struct {
	Tool Tool
	Name string
}

// HookKey identifies a rule of a built-in chain that jumps to a chain of replypath.
type HookKey struct {
	Tool Tool
	Hook marks.Hook
}

// hookInPlace is the state of a hook that needs no change.
var hookInPlace = marks.HookState{Count: 1, Reachable: true}

// compareTools ignores the command, which follows from the other fields.
func compareTools(a, b Tool) int {
	return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Backend, b.Backend))
}

func compareChains(a, b *ChainKey) int {
	return cmp.Or(compareTools(a.Tool, b.Tool), cmp.Compare(a.Name, b.Name))
}

func compareHooks(a, b *HookKey) int {
	return cmp.Or(compareTools(a.Tool, b.Tool), cmp.Compare(a.Hook.Builtin, b.Hook.Builtin), cmp.Compare(a.Hook.Rule.String(), b.Hook.Rule.String()))
}

// commandLine returns the shell command with these arguments on the mangle table.
func (t Tool) commandLine(arguments string) string {
	return t.Command + " -w -t " + marks.MangleTable + " " + arguments
}
