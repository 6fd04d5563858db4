package nftables

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// ErrReferenced is returned when a rule of another program in the table jumps to a chain that is to be deleted.
var ErrReferenced = errors.New("a rule of another program jumps to a chain of replypath")

// Apply performs the change in one transaction, completely or not at all. If only deletions of chains fail, because a rule
// of another program jumps to one, it performs the rest and returns the error.
func (f *Firewall) Apply(ctx context.Context, c marks.Change) error {
	err := f.commit(ctx, c)
	if !errors.Is(err, unix.EBUSY) || len(c.Delete) == 0 {
		return f.nameMissing(classify(err))
	}
	rest := c
	rest.Delete = nil
	if failed := f.commit(ctx, rest); failed != nil {
		return classify(failed)
	}
	return fmt.Errorf("nftables: %w: %w: see which: nft list table inet %s; delete that rule and try again", ErrReferenced, err, marks.NFTTable)
}

// commit performs the change if nftables is still as it was read, else reads it again.
func (f *Firewall) commit(ctx context.Context, c marks.Change) error {
	var err error
	for range maxAttempts {
		if err = ctx.Err(); err != nil {
			return err
		}
		now, failed := f.table.read()
		if failed != nil {
			return failed
		}
		if err = f.table.change(now, f.ipv6, c); !errors.Is(err, nftnl.ErrChanged) {
			return err
		}
	}
	return err
}

// change performs the change to the table as it was read. The owner of the table claims it first, if it has another one.
func (t *table) change(now *snapshot, ipv6 bool, c marks.Change) error {
	if t.owner != nil && now.exists && now.flags&owned != owned {
		if err := t.claim(now); err != nil {
			return err
		}
		return nftnl.ErrChanged
	}
	made := *now
	if t.owner != nil {
		made.flags |= owned
	}
	requests, err := (&builder{snapshot: &made, ipv6: ipv6}).build(c)
	if err != nil || len(requests) == 0 {
		return err
	}
	err = t.send(uint32(now.generation), requests)
	if errors.Is(err, unix.EPERM) && t.owner == nil && now.flags&nftnl.Owner != 0 {
		return belongsToService(err)
	}
	return err
}

// send sends the requests in one transaction, by the socket of the owner if there is one.
func (t *table) send(generation uint32, requests []nftnl.Request) error {
	if t.owner != nil {
		return t.owner.CommitAt(generation, requests)
	}
	return t.withSocket(func(s *nftnl.Socket) error { return s.CommitAt(generation, requests) })
}

// builder makes the requests of a change to the table as it is in the snapshot.
type builder struct {
	*snapshot
	ipv6     bool
	requests []nftnl.Request
	unused   map[string]bool // base chains that were deleted with their last hook
}

func (b *builder) add(r ...nftnl.Request) { b.requests = append(b.requests, r...) }

// build returns the requests. A change that leaves nothing of replypath deletes the table, unless it holds chains or sets
// of other programs.
func (b *builder) build(c marks.Change) ([]nftnl.Request, error) {
	foreign, empty := b.remaining(c)
	switch {
	case empty && !b.exists:
		return nil, nil
	case empty && !foreign:
		return []nftnl.Request{ownTable.Delete()}, nil
	}
	b.add(ownTable.Create(b.flags &^ nftnl.Dormant))
	for _, chain := range c.Chains {
		b.emptyChain(chain.Name)
	}
	for _, chain := range c.Chains {
		b.emptyMap(chain.Name)
	}
	for _, chain := range c.Chains {
		if err := b.fill(chain); err != nil {
			return nil, err
		}
	}
	for _, base := range marks.NFTBases {
		if err := b.changeHooks(base, c.HooksOf(base)); err != nil {
			return nil, err
		}
	}
	for _, name := range c.Delete {
		b.delete(name)
	}
	if empty {
		b.deleteBases()
	}
	return b.requests, nil
}

// remaining reports whether the table has chains or sets of other programs, and whether none of replypath is left in it
// after the change.
func (b *builder) remaining(c marks.Change) (foreign, empty bool) {
	left := map[string]bool{}
	note := func(name string) {
		_, v4 := marks.ParseNFTChain(name, false)
		_, v6 := marks.ParseNFTChain(name, true)
		left[name] = v4 || v6
		foreign = foreign || !v4 && !v6 && !isBaseOrHooks(name)
	}
	for name := range b.chains {
		note(name)
	}
	for name := range b.sets {
		if !strings.HasPrefix(name, "__") { // a set within a rule
			note(name)
		}
	}
	for _, chain := range c.Chains {
		left[marks.NFTChain(chain.Name, b.ipv6)] = true
	}
	for _, name := range c.Delete {
		left[marks.NFTChain(name, b.ipv6)] = false
	}
	for _, is := range left {
		if is {
			return foreign, false
		}
	}
	return foreign, true
}

// isBaseOrHooks reports whether a chain is one that every packet traverses.
func isBaseOrHooks(name string) bool {
	for _, b := range marks.NFTBases {
		if name == b.Name() || name == b.HookChain(false) || name == b.HookChain(true) {
			return true
		}
	}
	return false
}

// emptyChain creates or flushes a chain. A base chain of its name, made by another program, makes way.
func (b *builder) emptyChain(chain string) {
	if marks.IsMap(chain) {
		return
	}
	name := marks.NFTChain(chain, b.ipv6)
	b.emptyOrMake(name)
	if id, counts := marks.ParseCounterChain(chain); counts {
		symmetric, stray := marks.NFTCounters(id, b.ipv6)
		b.add(ownTable.CreateCounter(symmetric), ownTable.CreateCounter(stray))
	}
}

func (b *builder) emptyOrMake(name string) {
	c := b.chains[name]
	if c != nil {
		b.add(ownTable.FlushChain(name))
	}
	if c != nil && c.base != (baseState{}) {
		b.add(ownTable.DeleteChain(name))
		c = nil
	}
	if c == nil {
		b.add(ownTable.CreateChain(name))
	}
}

// emptyMap creates or flushes a map. The rules that look it up are flushed, so that one that cannot hold the elements may
// be deleted.
func (b *builder) emptyMap(chain string) {
	if !marks.IsMap(chain) {
		return
	}
	name := marks.NFTChain(chain, b.ipv6)
	s := b.sets[name]
	switch {
	case s != nil && s.sound(chain):
		b.add(ownTable.FlushSet(name))
	case s != nil:
		b.add(ownTable.DeleteSet(name), ownTable.CreateSet(mapOf(chain, name)))
	default:
		b.add(ownTable.CreateSet(mapOf(chain, name)))
	}
}

// fill adds the rules of a chain or the elements of a map.
func (b *builder) fill(c marks.ChainChange) error {
	name := marks.NFTChain(c.Name, b.ipv6)
	if marks.IsMap(c.Name) {
		if elements := b.elements(c.Rules); len(elements) > 0 {
			b.add(ownTable.AddElements(mapOf(c.Name, name), elements...))
		}
		return nil
	}
	for i, r := range c.Rules {
		expressions, err := encodeRule(r, marks.CounterOf(c.Name, i, b.ipv6), b.ipv6)
		if err != nil {
			return err
		}
		b.add(ownTable.AddRule(name, expressions...))
	}
	return nil
}

func (b *builder) elements(rules []marks.Rule) (all [][]byte) {
	for _, r := range rules {
		key := nftnl.MarkKey(uint32(r.Ctmark.Mark))
		switch {
		case r.In != "":
			key = nftnl.NameKey(r.In)
		case r.MAC != "":
			mac, _ := net.ParseMAC(r.MAC)
			key = nftnl.Key(mac)
		}
		all = append(all, nftnl.ToChain(key, marks.NFTChain(r.Action.Chain, b.ipv6)))
	}
	return all
}

// delete deletes a chain with its counters, or a map.
func (b *builder) delete(chain string) {
	name := marks.NFTChain(chain, b.ipv6)
	if marks.IsMap(chain) {
		b.add(ownTable.DeleteSet(name))
		return
	}
	b.add(ownTable.DeleteChain(name))
	if id, counts := marks.ParseCounterChain(chain); counts {
		symmetric, stray := marks.NFTCounters(id, b.ipv6)
		b.add(ownTable.DeleteCounter(symmetric), ownTable.DeleteCounter(stray))
	}
}

// deleteBases deletes the chains that every packet traverses, of both families.
func (b *builder) deleteBases() {
	for _, base := range marks.NFTBases {
		if !b.unused[base.Name()] {
			b.deleteBase(base)
		}
	}
}

// deleteBase deletes a base chain with the chains of its hooks.
func (b *builder) deleteBase(base marks.NFTBase) {
	for _, name := range []string{base.Name(), base.HookChain(false), base.HookChain(true)} {
		if b.chains[name] != nil {
			b.add(ownTable.FlushChain(name), ownTable.DeleteChain(name))
		}
	}
}
