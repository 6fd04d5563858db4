// Package iptables implements marks.Firewall by the iptables commands, for the legacy and the nftables backend:
// iptables-restore applies changes; rules are read from the kernel, and by the commands where only these can tell. It
// is the only importer of go-iptables, and apart from health/hook the only package that starts processes.
package iptables

import (
	"context"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"

	"github.com/coreos/go-iptables/iptables"
	"golang.org/x/sys/unix"
)

// lockWaitSeconds is the time that the iptables commands wait for the xtables lock.
const lockWaitSeconds = 30

// Table is the mangle table of one family in one backend.
type Table struct {
	backend     marks.Backend
	command     string            // its name: iptables, ip6tables-legacy, ...
	path        string            // of the command
	restorePath string            // of the restore command that belongs to it
	linkGroups  map[string]uint32 // link groups that have names
	macBits     *bool             // what HasMACBits has found
	ipsec       *bool             // what HasIPsec has found

	cached           *marks.Ruleset // at the last Read
	cachedGeneration uint64         // before that Read
	cachedDigest     uint64         // of the nftables table at that Read
}

var _ marks.Firewall = (*Table)(nil)

// Backend returns the backend that the command works on.
func (t *Table) Backend() marks.Backend { return t.backend }

// Command returns the name of the iptables command.
func (t *Table) Command() string { return t.command }

func (t *Table) ipv6() bool { return strings.HasPrefix(t.command, "ip6") }

// Family returns the family of the table in nftables: unix.NFPROTO_IPV4 or unix.NFPROTO_IPV6.
func (t *Table) Family() uint8 {
	if t.ipv6() {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

// nft names the table that the nftables backend keeps in the kernel.
func (t *Table) nft() netfilter.NFTTable {
	return netfilter.NFTTable{Family: t.Family(), Name: marks.MangleTable}
}

// masqNFT names the table of marks.MasqTable.
func (t *Table) masqNFT() netfilter.NFTTable {
	return netfilter.NFTTable{Family: t.Family(), Name: marks.MasqTable}
}

// Absent reports whether the table certainly has no rules. It does not create the table.
func (t *Table) Absent() bool {
	return t.backend == marks.Legacy && len(netfilter.LegacyTableNames(t.ipv6())) == 0
}

// Exists reports whether the kernel has the table. The iptables commands on nftables create it and its base chains when
// they first need them. The legacy backend's tables come and go with kernel modules and always count as existing.
func (t *Table) Exists() (bool, error) {
	if t.backend != marks.NFT {
		return true, nil
	}
	return t.nft().Exists()
}

// DeleteEmpty deletes the base chains of the hooks and the table in nftables, as far as they are empty: iptables has no
// command for it.
func (t *Table) DeleteEmpty() error {
	var builtins []string
	for _, h := range marks.Hooks {
		builtins = append(builtins, h.Builtin)
	}
	return t.nft().DeleteEmpty(builtins...)
}

// Watch reports the changes of nftables. The legacy backend announces nothing.
func (t *Table) Watch(ctx context.Context, changed func(marks.Process)) error {
	return netfilter.Watch(ctx, changed)
}

// Generation returns the number of changes to nftables, or a hash over the legacy table's rules.
func (t *Table) Generation() (uint64, error) {
	if t.backend == marks.NFT {
		return netfilter.Generation()
	}
	table, err := netfilter.ReadLegacyTable(marks.MangleTable, t.ipv6())
	if err != nil {
		return 0, err
	}
	masq, err := t.readLegacyMasq()
	return table.Hash() ^ masqHash(masq), err
}

// retryWhileLocked repeats an attempt, which waits for one second, as long as another program holds the xtables lock. A
// running command of go-iptables cannot be cancelled, so ctx is checked between attempts.
func retryWhileLocked[T any](ctx context.Context, attempt func() (T, error)) (result T, err error) {
	for range lockWaitSeconds {
		if result, err = attempt(); err == nil || !strings.Contains(err.Error(), "xtables lock") && !strings.Contains(err.Error(), "Can't lock") {
			return result, err
		}
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
	}
	return result, err
}

// listChain lists a chain's rules by iptables -S.
func (t *Table) listChain(ctx context.Context, name string) ([]string, error) {
	family := iptables.ProtocolIPv4
	if t.ipv6() {
		family = iptables.ProtocolIPv6
	}
	ipt, err := iptables.New(iptables.IPFamily(family), iptables.Path(t.path), iptables.Timeout(1))
	if err != nil {
		return nil, err
	}
	return retryWhileLocked(ctx, func() ([]string, error) { return ipt.List(marks.MangleTable, name) })
}
