// Package xtables carries our mangle chains between package marks and the kernel: they are written by the iptables
// commands, and read as the kernel holds them, or by the commands where only these can tell what is there. It is the only
// importer of go-iptables, and the only one that starts processes.
package iptables

import (
	"context"
	"strings"

	"replypath/marks"

	"github.com/coreos/go-iptables/iptables"
)

// lockWaitSeconds is how many seconds the iptables commands wait for the xtables lock.
const lockWaitSeconds = 30

// Table is the mangle table of one family in one backend, reached by one iptables command.
type Table struct {
	Backend          marks.Backend
	Command          string            // as it is called: iptables, ip6tables-legacy, ...
	path             string            // of that command
	restorePath      string            // the path of the restore command that belongs to it
	linkGroups       map[string]uint32 // link groups that have names
	cached           *Contents         // at the last Read
	cachedGeneration uint64            // the stamp before that Read
	cachedDigest     uint64            // what the nftables table held then
}

func (t *Table) ipv6() bool { return strings.HasPrefix(t.Command, "ip6") }

// Contents is what of ours a table holds.
type Contents struct {
	Chains map[string]string // the rules, a line each
	Hooks  map[marks.Hook]marks.HookState
}

// retryWhileLocked asks again while another program holds the xtables lock. Nothing takes a question back when ctx ends, so
// each waits for a second only.
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

// listChain lists a chain's rules.
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
