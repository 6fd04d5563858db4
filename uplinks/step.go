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
	Was, Value string
	Restore    bool
}

// LoadChains changes our chains and jumps of one iptables command at once, by one restore.
type LoadChains struct {
	Tool   Tool
	Text   string // for iptables-restore --noflush
	Lines  string // the same, for a shell
	Unload bool   // nothing of ours is left there
}

func (s AddRule) String() string  { return fmt.Sprintf("%s rule add %s", s.Rule.Family.ip(), s.Rule) }
func (s DelRule) String() string  { return fmt.Sprintf("%s rule del %s", s.Rule.Family.ip(), s.Rule) }
func (s SetRoute) String() string { return s.Key.Family.ip() + " route replace " + s.Route.line(s.Key) }
func (s DelRoute) String() string { return s.Key.Family.ip() + " route del " + s.Route.line(s.Key) }

func (s SetTunable) String() string { return s.Tunable.line(s.Value) }
func (s LoadChains) String() string { return s.Lines }

// load collects what one restore does.
type load struct {
	tool        Tool
	text, lines strings.Builder
}

func (l *load) declare(chain string, exists bool) {
	fmt.Fprintf(&l.text, ":%s - [0:0]\n", chain)
	verb := "-N"
	if exists {
		verb = "-F"
	}
	l.line("%s %s", verb, chain)
}

func (l *load) both(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	l.text.WriteString(line + "\n")
	l.line("%s", line)
}

func (l *load) line(format string, args ...any) {
	fmt.Fprintln(&l.lines, l.tool.chainLine(format, args...))
}

// fill is spared the formatting of line: with many uplinks it writes most of a plan.
func (l *load) fill(chain, rules string) {
	command := l.tool.chainLine("-A %s", chain)
	for rule := range strings.Lines(rules) {
		rule = strings.TrimRight(" "+strings.TrimSpace(rule), " ") + "\n"
		l.text.WriteString("-A " + chain + rule)
		l.lines.WriteString(command + rule)
	}
}

// unhook takes jumps up; all of them go, as a chain that is still jumped to cannot be deleted.
func (l *load) unhook(h marks.Hook, jumps int) {
	for range jumps {
		l.both("-D %s -j %s", h.Builtin, h.Chain)
	}
}

func (l *load) hook(h marks.Hook) { l.both("-I %s 1 -j %s", h.Builtin, h.Chain) }

func (l *load) drop(chain string) { l.both("-X %s", chain) }

func (l *load) step() (LoadChains, bool) {
	text := fmt.Sprintf("*%s\n%sCOMMIT\n", marks.Table, l.text.String())
	return LoadChains{Tool: l.tool, Text: text, Lines: strings.TrimSuffix(l.lines.String(), "\n")}, l.text.Len() > 0
}
