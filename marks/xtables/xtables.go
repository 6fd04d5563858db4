// Package xtables carries our mangle chains between package marks and the kernel: they are written by the iptables
// commands, and read as the kernel holds them, or by the commands where only these can tell what is there. It is the only
// importer of go-iptables, and the only one that starts processes.
package xtables

import (
	"context"
	"strings"

	"replypath/marks"

	"github.com/coreos/go-iptables/iptables"
)

// lockWait is how many seconds the iptables commands wait for the xtables lock.
const lockWait = 30

// Table is the mangle table of one family in one backend, reached by one iptables command.
type Table struct {
	Backend marks.Backend
	Command string            // as it is called: iptables, ip6tables-legacy, ...
	path    string            // of that command
	restore string            // the path of the restore command that belongs to it
	groups  map[string]uint32 // link groups that have names
	known   *Contents         // at the last Read
	at      uint64            // the stamp before that Read
	sum     uint64            // what the nftables table held then
}

func (t *Table) ipv6() bool { return strings.HasPrefix(t.Command, "ip6") }

// Contents is what of ours a table holds.
type Contents struct {
	Chains map[string]string // the rules, a line each
	Hooks  map[marks.Hook]marks.Standing
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

// chain lists a chain's rules.
func (t *Table) chain(ctx context.Context, name string) ([]string, error) {
	family := iptables.ProtocolIPv4
	if t.ipv6() {
		family = iptables.ProtocolIPv6
	}
	ipt, err := iptables.New(iptables.IPFamily(family), iptables.Path(t.path), iptables.Timeout(1))
	if err != nil {
		return nil, err
	}
	return patiently(ctx, func() ([]string, error) { return ipt.List(marks.Table, name) })
}
