package iptables

import (
	"context"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// Owners reports whose rules the table's backend holds. In nftables the result for other programs is certain only if it
// is negative: iptables does not show a table that has rules of other tools, which SavedOwners takes into account.
// Owners starts no process unless the kernel's tables cannot be decoded. It returns marks.ErrUnsupported when the
// kernel lacks the backend.
func (t *Table) Owners(ctx context.Context) (o marks.Owners, certain bool, err error) {
	if o, err = t.kernelOwners(); err != nil {
		o, err = t.SavedOwners(ctx)
		return o, true, err
	}
	return o, t.backend == marks.Legacy || !o.Others, nil
}

// SavedOwners returns the Owners by the output of iptables-save.
func (t *Table) SavedOwners(ctx context.Context) (marks.Owners, error) {
	_, saved, err := t.Save(ctx)
	if err != nil {
		return marks.Owners{}, err
	}
	return parseOwners(saved), nil
}

func (t *Table) kernelOwners() (marks.Owners, error) {
	if t.backend == marks.NFT {
		return t.nftOwners()
	}
	return t.legacyOwners()
}

// legacyOwners reads only tables that exist: reading another would create it.
func (t *Table) legacyOwners() (o marks.Owners, err error) {
	for _, name := range netfilter.LegacyTableNames(t.ipv6()) {
		table, err := t.decodeLegacy(name)
		if err != nil {
			return o, err
		}
		o = o.Merge(tableOwners(table))
	}
	return o, nil
}

func (t *Table) decodeLegacy(name string) (netfilter.Table, error) {
	if name == marks.MangleTable {
		s, err := t.freshSnapshot()
		return s.table, err
	}
	raw, err := netfilter.ReadLegacyTable(name, t.ipv6())
	if err != nil {
		return nil, err
	}
	return raw.Decode()
}

// freshSnapshot reads the mangle table without the cache, and fills the cache for the next Read.
func (t *Table) freshSnapshot() (snapshot, error) {
	t.cached = nil
	s, err := t.snapshot()
	switch {
	case err != nil:
		return s, err
	case s.malformed:
		return s, netfilter.ErrMalformed
	}
	t.cacheDecoded(s)
	return s, nil
}

// iptablesTables are the names of the tables of nftables that iptables shows.
var iptablesTables = [...]string{"raw", "mangle", "nat", "filter", "security"}

// nftOwners reads the rules of those chains of mangle that Read reads, and of all other chains only the number of rules
// in them and of jumps to them (NFTA_CHAIN_USE).
func (t *Table) nftOwners() (o marks.Owners, err error) {
	s, err := t.freshSnapshot()
	if err != nil {
		return o, err
	}
	o = tableOwners(s.table)
	for _, table := range iptablesTables {
		chains := s.chains
		if table != marks.MangleTable {
			if chains, err = (netfilter.NFTTable{Family: t.Family(), Name: table}).Chains(); err != nil {
				return o, err
			}
		}
		for _, chain := range chains {
			name := netfilter.FindString(chain, unix.NFTA_CHAIN_NAME)
			if netfilter.FindUint32(chain, unix.NFTA_CHAIN_USE) > 0 && (table != marks.MangleTable || !isRelevantChain(name)) {
				ours := strings.HasPrefix(name, marks.Prefix)
				o = o.Merge(marks.Owners{Ours: ours, Others: !ours})
			}
		}
	}
	return o, nil
}

// tableOwners returns the owners of the table's rules. Chains without rules do not count.
func tableOwners(table netfilter.Table) (o marks.Owners) {
	for chain, rules := range table {
		for _, r := range rules {
			jumps := r.Action.Kind == marks.Jump && strings.HasPrefix(r.Action.Chain, marks.Prefix)
			ours := jumps || strings.HasPrefix(chain, marks.Prefix)
			o = o.Merge(marks.Owners{Ours: ours, Others: !ours})
		}
	}
	return o
}

// Save returns the output of iptables-save for all tables of the family, and the name of that command.
func (t *Table) Save(ctx context.Context) (tool, saved string, err error) {
	path := strings.TrimSuffix(t.restorePath, "-restore") + "-save"
	saved, stderr, err := runCommand(ctx, "", path)
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.TrimSpace(stderr), err)
		if t.backend == marks.NFT {
			if _, failed := netfilter.Generation(); failed != nil {
				err = fmt.Errorf("%w: %w: %w", marks.ErrUnsupported, failed, err)
			}
		}
		return "", "", t.classify("list the rules of all tables", fmt.Errorf("%s: %w", path, err))
	}
	return t.command + "-save", saved, nil
}

// parseOwners reads the output of iptables-save. Chains without rules do not count.
func parseOwners(saved string) (o marks.Owners) {
	for line := range strings.Lines(saved) {
		rule, ok := strings.CutPrefix(line, "-A ")
		switch {
		case !ok:
		case strings.HasPrefix(rule, marks.Prefix), strings.Contains(rule, "-j "+marks.Prefix):
			o.Ours = true
		default:
			o.Others = true
		}
	}
	return o
}
