package marks

import (
	"context"
	"errors"
)

// Firewall is the packet filter of one address family in one backend of the kernel, as far as it holds rules of
// replypath. Implementations render a Change into their backend and return a Ruleset in the same terms, so that a
// Ruleset which was applied reads back equal. Owners, Read and Apply are not safe for concurrent use, nor is Generation of
// nftables; the other methods are.
type Firewall interface {
	// Backend returns the backend of the kernel.
	Backend() Backend
	// Command returns the name of the operator's command for this firewall: iptables, ip6tables-legacy.
	Command() string

	// Absent reports whether the firewall certainly holds no rules. It does not create the table by asking.
	Absent() bool
	// Exists reports whether the kernel has the table now.
	Exists() (bool, error)
	// Owners reports who has rules in the backend, in any table. The result for other programs is uncertain when
	// the backend has tables that its commands do not show; SavedOwners is then certain, and starts a process.
	Owners(ctx context.Context) (owners Owners, certain bool, err error)
	SavedOwners(ctx context.Context) (Owners, error)

	// CheckSupport returns an ErrUnsupported that names the parts of the rules that the kernel or the command
	// lacks. It changes nothing.
	CheckSupport(ctx context.Context) error

	// HasMACBits reports whether the kernel and the command have the match of Rule.MACBit. It changes nothing.
	HasMACBits(ctx context.Context) (bool, error)
	// HasIPsec reports whether the kernel and the command have the match of Rule.IPsec. It changes nothing.
	HasIPsec(ctx context.Context) (bool, error)

	// Read returns the chains and hooks of replypath. The result is shared: do not modify it.
	Read(ctx context.Context) (Ruleset, error)
	// Apply performs the change completely or not at all; if only deletions of chains fail, because a rule of
	// another program jumps to one, it performs the rest and returns the error.
	Apply(ctx context.Context, c Change) error
	// DeleteEmpty deletes the built-in chains of Hooks and the table, as far as they are empty.
	DeleteEmpty() error

	// Counters returns the reply counters of all uplinks.
	Counters(ctx context.Context) (map[ID]ReplyCounters, error)
	// Generation returns a number that changes whenever the rules may have changed. It starts no process.
	Generation() (uint64, error)
	// Watch calls changed for every change that the kernel announces, until the context ends. The first call, with
	// the zero Process, follows the subscription; lost events also cause one. The legacy backend announces nothing:
	// its changes show by Generation alone.
	Watch(ctx context.Context, changed func(Process)) error
}

// Owners tells whose rules a firewall holds.
type Owners struct{ Ours, Others bool }

// Merge returns the owners of two firewalls together.
func (o Owners) Merge(other Owners) Owners {
	return Owners{o.Ours || other.Ours, o.Others || other.Others}
}

// Process is a process that changed the firewall. The zero Process is unknown. The PID is that of the initial process
// namespace, so it cannot be compared with that of this process.
type Process struct {
	Name       string
	PID        int
	Generation uint32 // of nftables after its change
	LostTable  bool   // its change deleted NFTTable
}

// Errors of every Firewall.
var (
	ErrNotFound    = errors.New("not found")
	ErrUnsupported = errors.New("the kernel or iptables lacks a match or target")
)
