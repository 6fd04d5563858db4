package xtables

import (
	"context"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"
)

// Read lists our chains and jumps. It starts no process, unless there is something that only the iptables command can
// tell and the table changed since the last Read.
func (t *Table) Read(ctx context.Context) (Contents, error) {
	now, err := t.look()
	if err != nil {
		return Contents{}, t.explain("see whether the table changed", err)
	}
	if now.known || t.tell(now) {
		return *t.known, nil
	}
	sum := now.stamp
	if t.Backend == marks.NFT {
		if sum, err = t.digest(); err != nil {
			return Contents{}, t.explain("see whether the table changed", err)
		}
	}
	if t.known != nil && t.sum == sum {
		t.at = now.stamp
		return *t.known, nil
	}
	t.known = nil
	c, err := t.list(ctx, now.table)
	if err != nil {
		return c, err
	}
	// What changed while it was listed is listed again the next time.
	if after, err := t.Stamp(); err == nil && after == now.stamp {
		t.known, t.at, t.sum = &c, now.stamp, sum
	}
	return c, nil
}

// look is what the kernel says of a table.
type look struct {
	stamp   uint64
	known   bool // by the stamp, to be as it was at the last Read; nothing else is told then
	table   decoded.Table
	garbled bool     // it is not told as we understand it
	chains  [][]byte // of a table of nftables, as attributes
}

// tell makes what is looked at known, if all of ours in it can be told.
func (t *Table) tell(l look) bool {
	c, whole := contents(l.table)
	if whole = whole && !l.garbled; whole {
		t.known, t.at, t.sum = &c, l.stamp, 0
	}
	return whole
}

func (t *Table) look() (l look, err error) {
	if t.Backend == marks.NFT {
		return t.lookAtNFT()
	}
	held, err := t.legacy(marks.Table)
	if err != nil {
		return l, err
	}
	if l.stamp = held.stamp(t.ipv6()); t.knows(l.stamp) {
		return look{stamp: l.stamp, known: true}, nil
	}
	l.table, err = decoded.Legacy(held.entries, held.hooks, t.ipv6())
	l.garbled = err != nil
	return l, nil
}

func (t *Table) knows(stamp uint64) bool { return t.known != nil && t.at == stamp }

// lookAtNFT reads chains and rules between two changes.
func (t *Table) lookAtNFT() (l look, err error) {
	for range dumps {
		if l.stamp, err = t.generation(); err != nil || t.knows(l.stamp) {
			return look{stamp: l.stamp, known: true}, err
		}
		held, err := t.nft()
		if err != nil {
			return l, err
		}
		if after, err := t.generation(); err == nil && after == l.stamp {
			l.table, l.chains = decoded.NFT(held.chains, held.rules), held.chains
			return l, nil
		}
	}
	return l, fmt.Errorf("read the nftables table %s: it changes all the time", marks.Table)
}

// contents is what of ours a table holds, and whether all of it could be told.
func contents(held decoded.Table) (c Contents, whole bool) {
	c = Contents{Chains: map[string]string{}, Hooks: map[marks.Hook]marks.Standing{}}
	for name, rules := range held {
		if !strings.HasPrefix(name, marks.Prefix) {
			continue
		}
		if c.Chains[name], whole = text(rules); !whole {
			return c, false
		}
	}
	for h, places := range held.Places() {
		if places[0] > 0 {
			return c, false // whether the rules before it let packets pass, their text tells
		}
		c.Hooks[h] = marks.Standing{Times: len(places), Reached: true, Native: held.Native(h)}
	}
	return c, true
}

func text(rules []decoded.Rule) (lines string, whole bool) {
	var b strings.Builder
	for _, r := range rules {
		if !r.Whole || r.Native {
			return "", false
		}
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String(), true
}
