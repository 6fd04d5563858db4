package nftables

import (
	"context"
	"errors"
	"fmt"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// Command is the operator's command for this backend.
const Command = "nft"

// Firewall is the part of the table that holds the rules of one address family.
type Firewall struct {
	ipv6  bool
	table *table
	ipsec *bool // the kernel has IPsec policies; nil: not known
}

var _ marks.Firewall = (*Firewall)(nil)

// New returns the firewalls of both families, which share the table. They are not safe for concurrent use of methods that
// marks.Firewall excludes, one by the other included.
func New() (ipv4, ipv6 *Firewall) {
	t := &table{}
	return &Firewall{table: t}, &Firewall{table: t, ipv6: true}
}

// Backend returns marks.Nftables.
func (f *Firewall) Backend() marks.Backend { return marks.Nftables }

// Command returns the name of the operator's command.
func (f *Firewall) Command() string { return Command }

// Absent returns false: only a look tells.
func (f *Firewall) Absent() bool { return false }

// Exists returns true: Apply makes the table and deletes it with its last rule.
func (f *Firewall) Exists() (bool, error) { return true, nil }

// DeleteEmpty does nothing: Apply deletes the table with its last rule.
func (f *Firewall) DeleteEmpty() error { return nil }

// Owners reports whether the table has chains of the family. It holds nothing of other programs.
func (f *Firewall) Owners(ctx context.Context) (o marks.Owners, certain bool, err error) {
	r, err := f.Read(ctx)
	return marks.Owners{Ours: len(r.Chains) > 0}, true, err
}

// SavedOwners returns the Owners.
func (f *Firewall) SavedOwners(ctx context.Context) (marks.Owners, error) {
	o, _, err := f.Owners(ctx)
	return o, err
}

// Generation returns the number of changes to nftables. After a transaction the lasting socket answers at once, see table.socket.
func (f *Firewall) Generation() (generation uint64, err error) {
	err = f.table.withSocket(func(s *nftnl.Socket) (err error) {
		generation, err = s.Generation()
		return err
	})
	return generation, err
}

// Watch reports the changes of nftables.
func (f *Firewall) Watch(ctx context.Context, changed func(marks.Process)) error {
	return netfilter.Watch(ctx, changed)
}

// Read returns the chains and hooks of replypath.
func (f *Firewall) Read(context.Context) (marks.Ruleset, error) {
	s, err := f.table.read()
	if err != nil {
		return marks.Ruleset{}, err
	}
	return s.ruleset(f.ipv6), nil
}

// Counters returns the reply counters of all uplinks.
func (f *Firewall) Counters(context.Context) (map[marks.ID]marks.ReplyCounters, error) {
	s, err := nftnl.Open()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	packets, err := s.CounterPackets(ownTable)
	if err != nil {
		return nil, err
	}
	return marks.CountersOf(packets, f.ipv6), nil
}

// classify wraps an error of the kernel in that of every Firewall, with the remedy.
func classify(err error) error {
	switch {
	case errors.Is(err, errBelongsToService), errors.Is(err, ErrUnprotected):
		return err
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("nftables: %w (%w): load the module nf_tables, or choose the backend \"legacy\"", marks.ErrUnsupported, err)
	}
	return nftnl.Explain(err)
}
