package xtables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"replypath/marks"
)

// Use is whose rules a backend holds, in any of its tables.
type Use struct{ Ours, Others bool }

// InUse tells whose rules the table's backend holds. It is an ErrMissing when the kernel does not have the backend.
// Asking the legacy backend for a table makes the table, so it is asked only for those that are there.
func (t *Table) InUse(ctx context.Context) (Use, error) {
	if t.Backend == marks.Legacy && !t.legacyTables() {
		return Use{}, nil
	}
	_, saved, err := t.save(ctx)
	if err != nil {
		return Use{}, err
	}
	return use(saved), nil
}

// save is what the save command prints, and the command.
func (t *Table) save(ctx context.Context) (command, saved string, err error) {
	command = strings.TrimSuffix(t.restore, "-restore") + "-save"
	out, err := exec.CommandContext(ctx, command).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%s: %w", strings.TrimSpace(string(exit.Stderr)), err)
		}
		if t.Backend == marks.NFT {
			if _, none := t.generation(); none != nil {
				err = fmt.Errorf("%w: %w: %w", ErrMissing, none, err)
			}
		}
		return command, "", t.explain("list the rules of all tables", fmt.Errorf("%s: %w", command, err))
	}
	return command, string(out), nil
}

// use reads what iptables-save prints. A chain without rules that nobody filled yet is no use.
func use(saved string) (u Use) {
	for line := range strings.Lines(saved) {
		rule, ok := strings.CutPrefix(line, "-A ")
		switch {
		case !ok:
		case strings.HasPrefix(rule, marks.Prefix), strings.Contains(rule, "-j "+marks.Prefix):
			u.Ours = true
		default:
			u.Others = true
		}
	}
	return u
}

// Absent reports whether there is certainly nothing to read.
func (t *Table) Absent() bool { return t.Backend == marks.Legacy && !t.legacyTables() }

// legacyTables reports whether the legacy backend has any table in this network namespace.
func (t *Table) legacyTables() bool {
	file := "/proc/thread-self/net/ip_tables_names"
	if strings.HasPrefix(t.Command, "ip6") {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	text, err := os.ReadFile(file)
	return err == nil && len(strings.TrimSpace(string(text))) > 0
}
