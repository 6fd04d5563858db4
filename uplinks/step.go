package uplinks

import (
	"fmt"
	"strings"

	"replypath/marks"
)

// Step is one write to the kernel: an AddRule, DelRule, SetRoute, DelRoute, SetTunable or LoadChains. Its String has
// the lines that do the same when they are pasted into a shell.
type Step interface{ fmt.Stringer }

// AddRule adds a rule. It is an error when the rule exists.
type AddRule struct{ Rule Rule }

// DelRule deletes exactly this rule. It is no error when it does not exist.
type DelRule struct{ Rule Rule }

// SetRoute adds a route, or replaces the one with its key.
type SetRoute struct {
	Key   RouteKey
	Route Route
}

// DelRoute deletes exactly this route. It is no error when it does not exist.
type DelRoute struct {
	Key   RouteKey
	Route Route
}

// SetTunable gives a tunable a value, and remembers the one that it had; Restore forgets it again.
type SetTunable struct {
	Tunable    Tunable
	Old, Value string
	Restore    bool
}

// LoadChains changes our chains and jumps of one iptables command at once, by one restore.
type LoadChains struct {
	Tool    Tool
	Text    string // for iptables-restore --noflush
	Created string // the chains in it that do not exist yet, each followed by a space
	Unload  bool   // nothing of ours is left there
}

func (s AddRule) String() string {
	return fmt.Sprintf("%s rule add %s", s.Rule.Family.IPCommand(), s.Rule)
}
func (s DelRule) String() string {
	return fmt.Sprintf("%s rule del %s%s", s.Rule.Family.IPCommand(), s.Rule, s.Rule.selectors())
}
func (s SetRoute) String() string {
	return s.Key.Family.IPCommand() + " route replace " + s.Route.spec(s.Key)
}
func (s DelRoute) String() string {
	return s.Key.Family.IPCommand() + " route del " + s.Route.spec(s.Key)
}

func (s SetTunable) String() string { return s.Tunable.command(s.Value) }

// String has a line for each line of the restore. A restore makes a chain that it declares, or empties it.
func (s LoadChains) String() string {
	var b strings.Builder
	for line := range strings.Lines(s.Text) {
		line = strings.TrimSuffix(line, "\n")
		if chain, ok := strings.CutPrefix(line, ":"); ok {
			chain, _, _ = strings.Cut(chain, " ")
			line = "-F " + chain
			if strings.Contains(" "+s.Created, " "+chain+" ") {
				line = "-N " + chain
			}
		}
		if strings.HasPrefix(line, "-") {
			b.WriteString(s.Tool.chainLine(line) + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// load collects what one restore does.
type load struct {
	tool          Tool
	text, created strings.Builder
}

// restoreHeader is how the text of a restore begins.
const restoreHeader = "*" + marks.MangleTable + "\n"

func newLoad(t Tool, room int) *load {
	l := &load{tool: t}
	l.text.Grow(room)
	l.text.WriteString(restoreHeader)
	return l
}

func (l *load) declare(chain string, exists bool) {
	l.text.WriteString(":" + chain + " - [0:0]\n")
	if !exists {
		l.created.WriteString(chain + " ")
	}
}

func (l *load) fill(chain, rules string) {
	for rule := range strings.Lines(rules) {
		l.text.WriteString("-A ")
		l.text.WriteString(chain)
		if rule != "\n" {
			l.text.WriteString(" ")
		}
		l.text.WriteString(rule)
	}
}

// unhook takes hooks up; all of them go, as a chain that is still jumped to cannot be deleted.
func (l *load) unhook(h marks.Hook, times int) {
	for range times {
		l.text.WriteString("-D " + h.Builtin + " " + h.Rule.String() + "\n")
	}
}

func (l *load) hook(h marks.Hook) {
	l.text.WriteString("-I " + h.Builtin + " 1 " + h.Rule.String() + "\n")
}

func (l *load) drop(chain string) { l.text.WriteString("-X " + chain + "\n") }

// step reports whether there is anything to do.
func (l *load) step() (s LoadChains, any bool) {
	any = l.text.Len() > len(restoreHeader)
	l.text.WriteString("COMMIT\n")
	return LoadChains{Tool: l.tool, Text: l.text.String(), Created: l.created.String()}, any
}
