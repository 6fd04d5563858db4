package uplinks

import (
	"cmp"
	"fmt"
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

// HookKey names a jump of ours.
type HookKey struct {
	Tool Tool
	Hook marks.Hook
}

// HookState is how a jump stands in its built-in chain.
type HookState struct {
	Jumps   int  // how many of them
	Reached bool // no rule before the first of them can end a packet's walk
}

// rulesText is a chain's content as it is compared: a rule a line, as iptables prints it.
func rulesText(rules []marks.Rule) string {
	var b strings.Builder
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

func compareChains(a, b ChainKey) int {
	return cmp.Or(compareTools(a.Tool, b.Tool), cmp.Compare(a.Name, b.Name))
}

func compareHooks(a, b HookKey) int {
	return cmp.Or(compareTools(a.Tool, b.Tool), cmp.Compare(a.Hook.Builtin, b.Hook.Builtin), cmp.Compare(a.Hook.Chain, b.Hook.Chain))
}

// chainLine is one iptables line for our table.
func (t Tool) chainLine(format string, args ...any) string {
	return strings.TrimSpace(fmt.Sprintf("%s -w -t %s ", t.Command, marks.Table) + fmt.Sprintf(format, args...))
}
