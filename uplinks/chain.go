package uplinks

import (
	"cmp"
	"strings"

	"replypath/marks"
)

// Tool is one of the iptables commands: a family's rules in one of the backends.
type Tool struct {
	Family  Family
	Backend marks.Backend
	Command string // as it is called: iptables, ip6tables-legacy, ...
}

// ChainKey names a chain of ours.
type ChainKey struct {
	Tool Tool
	Name string
}

// HookKey names a rule of a built-in chain that leads to ours.
type HookKey struct {
	Tool Tool
	Hook marks.Hook
}

// hookInPlace is how a hook should stand.
var hookInPlace = marks.HookState{Count: 1, Reachable: true}

// rulesText is a chain's content as it is compared: a rule a line, as iptables prints it.
func rulesText(rules []marks.Rule) string {
	var b strings.Builder
	b.Grow(64 * len(rules))
	for _, r := range rules {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// compareTools leaves out the command: it follows from the rest.
func compareTools(a, b Tool) int {
	return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Backend, b.Backend))
}

func compareChains(a, b *ChainKey) int {
	return cmp.Or(compareTools(a.Tool, b.Tool), cmp.Compare(a.Name, b.Name))
}

func compareHooks(a, b *HookKey) int {
	return cmp.Or(compareTools(a.Tool, b.Tool), cmp.Compare(a.Hook.Builtin, b.Hook.Builtin), cmp.Compare(a.Hook.Rule.String(), b.Hook.Rule.String()))
}

// chainLine is a line of a restore as the command takes it.
func (t Tool) chainLine(line string) string {
	return t.Command + " -w -t " + marks.MangleTable + " " + line
}
