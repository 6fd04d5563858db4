package xtables

import (
	"context"
	"fmt"
	"os"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"

	"golang.org/x/sys/unix"
)

// Use is whose rules a backend holds, in any of its tables.
type Use struct{ Ours, Others bool }

// And is the use of two tables together.
func (u Use) And(other Use) Use { return Use{u.Ours || other.Ours, u.Others || other.Others} }

// InUse tells whose rules the table's backend holds, and whether that is sure: iptables shows no table of nftables that
// has something of other tools' in it, so that only Saved is sure of others' rules there. It starts no process as long as
// the kernel answers. It is an ErrMissing when the kernel does not have the backend.
func (t *Table) InUse(ctx context.Context) (u Use, sure bool, err error) {
	if u, err = t.use(); err != nil {
		u, err = t.Saved(ctx)
		return u, true, err
	}
	return u, t.Backend == marks.Legacy || !u.Others, nil
}

func (t *Table) use() (Use, error) {
	if t.Backend == marks.NFT {
		return t.useOfNFT()
	}
	return t.useOfLegacy()
}

// Saved is what InUse is, by the save command.
func (t *Table) Saved(ctx context.Context) (Use, error) {
	_, saved, err := t.save(ctx)
	if err != nil {
		return Use{}, err
	}
	return inUse(saved), nil
}

// useOfLegacy asks only for tables that are there: asking for one makes it.
func (t *Table) useOfLegacy() (u Use, err error) {
	for _, name := range t.legacyTables() {
		table, err := t.decode(name)
		if err != nil {
			return u, err
		}
		u.add(table)
	}
	return u, nil
}

// decode reads one of the legacy backend's tables.
func (t *Table) decode(name string) (decoded.Table, error) {
	if name == marks.Table {
		now, err := t.lookAnew()
		return now.table, err
	}
	held, err := t.legacy(name)
	if err != nil {
		return nil, err
	}
	return decoded.Legacy(held.entries, held.hooks, t.ipv6())
}

// lookAnew looks into mangle whatever is known of it, which spares the next Read a look.
func (t *Table) lookAnew() (look, error) {
	t.known = nil
	now, err := t.look()
	switch {
	case err != nil:
		return now, err
	case now.garbled:
		return now, decoded.ErrGarbled
	}
	t.tell(now)
	return now, nil
}

// ofIptables are the tables of nftables that iptables knows.
var ofIptables = [...]string{"raw", "mangle", "nat", "filter", "security"}

// useOfNFT reads no chain but those of mangle that Read does: of others their number of rules, and of jumps to them, says
// enough.
func (t *Table) useOfNFT() (u Use, err error) {
	now, err := t.lookAnew()
	if err != nil {
		return u, err
	}
	u.add(now.table)
	c, err := converse()
	if err != nil {
		return u, err
	}
	defer c.close()
	for _, table := range ofIptables {
		chains := now.chains
		if table != marks.Table {
			if chains, err = t.dump(c, unix.NFT_MSG_GETCHAIN, table); err != nil {
				return u, err
			}
		}
		for _, chain := range chains {
			if name := chainName(chain); word(chain, unix.NFTA_CHAIN_USE) > 0 && (table != marks.Table || !read(name)) {
				ours := strings.HasPrefix(name, marks.Prefix)
				u = u.And(Use{ours, !ours})
			}
		}
	}
	return u, nil
}

// add counts in what a table holds. A chain without rules that nobody filled yet is no use.
func (u *Use) add(table decoded.Table) {
	for chain, rules := range table {
		for _, r := range rules {
			jumps := r.Target.Verb == marks.Jump && strings.HasPrefix(r.Target.Chain, marks.Prefix)
			ours := jumps || strings.HasPrefix(chain, marks.Prefix)
			*u = u.And(Use{ours, !ours})
		}
	}
}

// save is what the save command prints, and the command.
func (t *Table) save(ctx context.Context) (command, saved string, err error) {
	command = strings.TrimSuffix(t.restore, "-restore") + "-save"
	saved, said, err := call(ctx, "", command)
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.TrimSpace(said), err)
		if t.Backend == marks.NFT {
			if _, none := t.generation(); none != nil {
				err = fmt.Errorf("%w: %w: %w", ErrMissing, none, err)
			}
		}
		return command, "", t.explain("list the rules of all tables", fmt.Errorf("%s: %w", command, err))
	}
	return command, saved, nil
}

// inUse reads what iptables-save prints. A chain without rules that nobody filled yet is no use.
func inUse(saved string) (u Use) {
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
func (t *Table) Absent() bool { return t.Backend == marks.Legacy && len(t.legacyTables()) == 0 }

// legacyTables are the tables that the legacy backend has in this network namespace.
func (t *Table) legacyTables() []string {
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
