package uplinks

import (
	"fmt"
	"strings"

	"replypath/marks"
)

// Step is one write to the kernel. The types of steps are closed: each has all methods here, and one method of Writer, so
// a new kind of kernel object is one new type, and the compiler names the Writers that lack it.
type Step interface {
	// String returns the shell commands that do the same, one a line.
	fmt.Stringer
	// Kind returns the kind of the object that the step writes.
	Kind() Kind
	// Removes reports whether the step removes what packets may still use. It is executed only after every step that
	// replaces it.
	Removes() bool
	// Scope returns the part of the host that the step changes; the zero Scope is the whole host.
	Scope() Scope
	// WriteTo calls the method of w for the step's object.
	WriteTo(w Writer)
	// legend returns a comment line that a Plan prints before its first step of the kind; empty: none.
	legend() string
}

// Writer writes objects to a kernel. It keeps errors itself, as it may write several objects together.
type Writer interface {
	AddRule(r Rule)
	DelRule(r Rule)
	SetRoute(k RouteKey, r Route)
	DelRoute(k RouteKey, r Route)
	SetTunable(s SetTunable)
	LoadChains(s LoadChains)
}

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

// LoadChains changes the chains and hooks of one firewall in one transaction.
type LoadChains struct {
	Tool   Tool
	Change marks.Change
	Unload bool // the firewall has no rules of replypath afterwards
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

// String formats the change as shell commands, one a line.
func (s LoadChains) String() string {
	var b strings.Builder
	for i, arguments := range s.Change.Commands() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.Tool.commandLine(arguments))
	}
	return b.String()
}
