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

// HookState is how such a rule stands in its chain.
type HookState struct {
	Times   int  // how often
	Reached bool // no rule before the first of them can end a packet's walk
	Native  bool // one is as nft(8) writes it, which iptables cannot read
}

// inPlace is how one should stand.
var inPlace = HookState{Times: 1, Reached: true}

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
	return t.Command + " -w -t " + marks.Table + " " + line
}
