package iptables

import (
	"context"
	"fmt"
	"os"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"

	"golang.org/x/sys/unix"
)

// Owners is whose rules a backend holds, in any of its tables.
type Owners struct{ Ours, Others bool }

// Merge is the use of two tables together.
func (u Owners) Merge(other Owners) Owners {
	return Owners{u.Ours || other.Ours, u.Others || other.Others}
}

// Owners tells whose rules the table's backend holds, and whether that is sure: iptables shows no table of nftables that
// has something of other tools' in it, so that only SavedOwners is sure of others' rules there. It starts no process as long as
// the kernel answers. It is an ErrMissing when the kernel does not have the backend.
func (t *Table) Owners(ctx context.Context) (u Owners, sure bool, err error) {
	if u, err = t.kernelOwners(); err != nil {
		u, err = t.SavedOwners(ctx)
		return u, true, err
	}
	return u, t.Backend == marks.Legacy || !u.Others, nil
}

func (t *Table) kernelOwners() (Owners, error) {
	if t.Backend == marks.NFT {
		return t.nftOwners()
	}
	return t.legacyOwners()
}

// SavedOwners is what Owners is, by the save command.
func (t *Table) SavedOwners(ctx context.Context) (Owners, error) {
	_, saved, err := t.runSave(ctx)
	if err != nil {
		return Owners{}, err
	}
	return parseOwners(saved), nil
}

// legacyOwners asks only for tables that are there: asking for one makes it.
func (t *Table) legacyOwners() (u Owners, err error) {
	for _, name := range t.legacyTableNames() {
		table, err := t.decodeLegacy(name)
		if err != nil {
			return u, err
		}
		u.addTable(table)
	}
	return u, nil
}

// decodeLegacy reads one of the legacy backend's tables.
func (t *Table) decodeLegacy(name string) (decoded.Table, error) {
	if name == marks.MangleTable {
		now, err := t.freshSnapshot()
		return now.table, err
	}
	raw, err := t.readLegacy(name)
	if err != nil {
		return nil, err
	}
	return decoded.Legacy(raw.entries, raw.hooks, t.ipv6())
}

// freshSnapshot looks into mangle whatever is known of it, which spares the next Read a look.
func (t *Table) freshSnapshot() (snapshot, error) {
	t.cached = nil
	now, err := t.snapshot()
	switch {
	case err != nil:
		return now, err
	case now.malformed:
		return now, decoded.ErrMalformed
	}
	t.cache(now)
	return now, nil
}

// iptablesTables are the tables of nftables that iptables knows.
var iptablesTables = [...]string{"raw", "mangle", "nat", "filter", "security"}

// nftOwners reads no chain but those of mangle that Read does: of others their number of rules, and of jumps to them, says
// enough.
func (t *Table) nftOwners() (u Owners, err error) {
	now, err := t.freshSnapshot()
	if err != nil {
		return u, err
	}
	u.addTable(now.table)
	c, err := openDumpSocket()
	if err != nil {
		return u, err
	}
	defer c.close()
	for _, table := range iptablesTables {
		chains := now.chains
		if table != marks.MangleTable {
			if chains, err = t.dump(c, unix.NFT_MSG_GETCHAIN, table); err != nil {
				return u, err
			}
		}
		for _, chain := range chains {
			if name := chainName(chain); uint32Of(chain, unix.NFTA_CHAIN_USE) > 0 && (table != marks.MangleTable || !isRelevantChain(name)) {
				ours := strings.HasPrefix(name, marks.Prefix)
				u = u.Merge(Owners{ours, !ours})
			}
		}
	}
	return u, nil
}

// addTable counts in what a table holds. A chain without rules that nobody filled yet is no use.
func (u *Owners) addTable(table decoded.Table) {
	for chain, rules := range table {
		for _, r := range rules {
			jumps := r.Action.Kind == marks.Jump && strings.HasPrefix(r.Action.Chain, marks.Prefix)
			ours := jumps || strings.HasPrefix(chain, marks.Prefix)
			*u = u.Merge(Owners{ours, !ours})
		}
	}
}

// runSave is what the save command prints, and the command.
func (t *Table) runSave(ctx context.Context) (command, saved string, err error) {
	command = strings.TrimSuffix(t.restorePath, "-restore") + "-save"
	saved, stderr, err := runCommand(ctx, "", command)
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.TrimSpace(stderr), err)
		if t.Backend == marks.NFT {
			if _, none := t.nftGeneration(); none != nil {
				err = fmt.Errorf("%w: %w: %w", ErrMissing, none, err)
			}
		}
		return command, "", t.classify("list the rules of all tables", fmt.Errorf("%s: %w", command, err))
	}
	return command, saved, nil
}

// parseOwners reads what iptables-save prints. A chain without rules that nobody filled yet is no use.
func parseOwners(saved string) (u Owners) {
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
func (t *Table) Absent() bool { return t.Backend == marks.Legacy && len(t.legacyTableNames()) == 0 }

// legacyTableNames are the tables that the legacy backend has in this network namespace.
func (t *Table) legacyTableNames() []string {
	file := "/proc/thread-self/net/ip_tables_names"
	if t.ipv6() {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}
