// Package xtables carries our mangle chains between package marks and the kernel, by the iptables commands. It is the
// only importer of go-iptables, and the only one that starts processes.
package xtables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"replypath/marks"

	"github.com/coreos/go-iptables/iptables"
)

// lockWait is how many seconds the iptables commands wait for the xtables lock.
const lockWait = 30

// Table is the mangle table of one family in one backend, reached by one iptables command.
type Table struct {
	Backend marks.Backend
	Command string // as it is called: iptables, ip6tables-legacy, ...
	ipt     *iptables.IPTables
	restore string            // the path of the restore command that belongs to it
	groups  map[string]uint32 // link groups that have names
	known   *Contents         // at the last Read
	at      uint64            // the stamp before that Read
}

// Contents is what of ours a table holds.
type Contents struct {
	Chains map[string]string // the rules, a line each
	Hooks  map[marks.Hook]Hook
}

// Hook is how a jump of ours stands in its built-in chain.
type Hook struct {
	Jumps   int  // how many of them
	Reached bool // no rule before the first of them can end a packet's walk
}

// Read lists our chains and jumps. Chains of others are read only when a rule of theirs stands before a jump of ours.
// It starts no process when the table is as it was at the last Read.
func (t *Table) Read(ctx context.Context) (Contents, error) {
	before, err := t.Stamp()
	if err != nil {
		return Contents{}, t.explain("see whether the table changed", err)
	}
	if t.known != nil && t.at == before {
		return *t.known, nil
	}
	c, err := t.list(ctx)
	if err != nil {
		return c, err
	}
	// What changed while it was listed is listed again the next time.
	t.known, t.at = nil, before
	if after, err := t.Stamp(); err == nil && after == before {
		t.known = &c
	}
	return c, nil
}

func (t *Table) list(ctx context.Context) (Contents, error) {
	c := Contents{Chains: map[string]string{}, Hooks: map[marks.Hook]Hook{}}
	names, err := t.ours(ctx)
	if err != nil {
		return c, err
	}
	for _, name := range names {
		rules, err := patiently(ctx, func() ([]string, error) { return t.ipt.List(marks.Table, name) })
		if err != nil {
			return c, t.explain("list chain "+name, err)
		}
		c.Chains[name] = t.text(name, rules)
	}
	for _, h := range marks.Hooks {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		hook, err := t.hook(ctx, h)
		if err != nil {
			return c, err
		}
		if hook.Jumps > 0 {
			c.Hooks[h] = hook
		}
	}
	return c, nil
}

// ours names our chains that exist. A table in which another tool keeps chains of a kind that iptables cannot print
// cannot be listed as a whole; each of our chains can.
func (t *Table) ours(ctx context.Context) ([]string, error) {
	all, err := patiently(ctx, func() ([]string, error) { return t.ipt.ListChains(marks.Table) })
	if err == nil {
		return slices.DeleteFunc(all, func(c string) bool { return !strings.HasPrefix(c, marks.Prefix) }), nil
	}
	if !strings.Contains(err.Error(), "is incompatible") {
		return nil, t.explain("list chains", err)
	}
	var names []string
	for _, name := range marks.Names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		exists, err := patiently(ctx, func() (bool, error) { return t.ipt.ChainExists(marks.Table, name) })
		if err != nil {
			return nil, t.explain("look for chain "+name, err)
		}
		if exists {
			names = append(names, name)
		}
	}
	return names, nil
}

// text has the chain's rules in the spelling that we write, whatever this version of iptables prints; a rule that is
// none of ours stays as it was printed.
func (t *Table) text(chain string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		rule, ok := strings.CutPrefix(line, "-A "+chain)
		if !ok {
			continue
		}
		rule = t.numberGroups(strings.TrimSpace(rule))
		if r, err := marks.Parse(rule); err == nil {
			rule = r.String()
		}
		b.WriteString(rule + "\n")
	}
	return b.String()
}

func (t *Table) hook(ctx context.Context, h marks.Hook) (Hook, error) {
	lines, err := patiently(ctx, func() ([]string, error) { return t.ipt.List(marks.Table, h.Builtin) })
	if err != nil {
		return Hook{}, t.explain("list chain "+h.Builtin, err)
	}
	jump := fmt.Sprintf("-A %s -j %s", h.Builtin, h.Chain)
	var hook Hook
	before := lines
	for i, line := range lines {
		if strings.TrimSpace(line) != jump {
			continue
		}
		if hook.Jumps++; hook.Jumps == 1 {
			before = lines[:i]
		}
	}
	if hook.Jumps > 0 {
		hook.Reached = !marks.Ends(before, func(chain string) []string { return t.foreign(ctx, chain) })
	}
	return hook, nil
}

// foreign lists the rules of a chain that a rule before ours jumps to. A name that cannot be listed is a target.
func (t *Table) foreign(ctx context.Context, chain string) []string {
	rules, err := patiently(ctx, func() ([]string, error) { return t.ipt.List(marks.Table, chain) })
	if err != nil {
		return nil
	}
	return rules
}

// patiently asks again while another program holds the xtables lock. Nothing takes a question back when ctx ends, so
// each waits for a second only.
func patiently[T any](ctx context.Context, ask func() (T, error)) (answer T, err error) {
	for range lockWait {
		if answer, err = ask(); err == nil || !strings.Contains(err.Error(), "xtables lock") && !strings.Contains(err.Error(), "Can't lock") {
			return answer, err
		}
		if ctx.Err() != nil {
			return answer, ctx.Err()
		}
	}
	return answer, err
}

// Load gives text to iptables-restore, which does all of it or nothing.
func (t *Table) Load(ctx context.Context, text string) error {
	err := t.run(ctx, text)
	if errors.Is(err, ErrMissing) {
		return t.missing(ctx, err)
	}
	return err
}

// groupNames is where link groups get names, which iptables then prints instead of numbers.
const groupNames = "/etc/iproute2/group"

func readGroups() map[string]uint32 {
	groups := map[string]uint32{}
	text, err := os.ReadFile(groupNames)
	if err != nil {
		return groups
	}
	for line := range strings.Lines(string(text)) {
		var n uint32
		var name string
		if _, err := fmt.Sscanf(line, "%v %s", &n, &name); err == nil {
			groups[name] = n
		}
	}
	return groups
}

func (t *Table) numberGroups(rule string) string {
	words := strings.Fields(rule)
	at := slices.Index(words, "--src-group")
	if at < 0 || at+1 == len(words) {
		return rule
	}
	if n, named := t.groups[words[at+1]]; named {
		words[at+1] = fmt.Sprintf("%#x", n)
	}
	return strings.Join(words, " ")
}
