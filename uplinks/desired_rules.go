package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// Where the rules of a block stand, counted from its first priority. Every place follows from an uplink's id, so that
// one uplink's change moves no other's rule.
const (
	placeMain   = 0    // what main knows specifically, not by an uplink
	placeMarks  = 1    // dispatch by mark; an uplink's own rule stands at placeMarks + id
	placeBlocks = 17   // which block of marks, for ids above 15
	placeLeaves = 100  // the blocks themselves
	placeHost   = 1000 // only the host's own packets go on; an uplink's addresses stand at placeHost + id
	placeEnd    = 1999
)

// Marks beyond the first 15 are asked in blocks of 16, and there in rows of 4, because the kernel walks rules one by one
// on every look-up. Rows are so short because each mark has two rules in its row.
const (
	blockBits  = 4
	blockSize  = 1 << blockBits
	blockSpace = 40 // priorities between the beginnings of two blocks
	rowBits    = 2
	rowSize    = 1 << rowBits
	rowSpace   = 8 // priorities between the beginnings of two rows
)

// place is where the uplink's rule for its mark stands.
func place(id marks.ID) Priority {
	if id < blockSize {
		return placeMarks + Priority(id)
	}
	return rowPlace(id) + 2 + Priority(id%rowSize)
}

// blockPlace is where the block of the id begins: a rule for each row follows, and then a way out.
func blockPlace(id marks.ID) Priority { return placeLeaves + Priority(id/blockSize)*blockSpace }

// rowPlace is where the row of the id begins: its marks' rules follow, and then a way out.
func rowPlace(id marks.ID) Priority {
	return blockPlace(id) + Priority(1+id%blockSize/rowSize)*rowSpace
}

// rules adds the family's rules. A connection whose mark and source differ follows its mark: marks stand before
// addresses.
func rules(want State, s Settings, f Facts, family Family) {
	ours := slices.DeleteFunc(slices.Clone(s.Uplinks), func(u Uplink) bool { return !u.Manages(family) })
	if len(ours) == 0 {
		return
	}
	add := func(place Priority, action Action, change func(*Rule)) {
		r := newRule(family, s.Priority+place, action)
		if change != nil {
			change(&r)
		}
		want.Rules[r] = true
	}
	add(placeMain, Lookup, func(r *Rule) {
		r.Table, r.SuppressLength, r.SuppressGroup = MainTable, 0, int64(s.Group)
	})
	add(placeMarks, Goto, func(r *Rule) { r.Mask, r.Goto = s.Mask, s.Priority+placeHost })
	for _, u := range ours {
		markRules(add, s, u)
	}
	blockRules(add, s, ours)
	add(placeHost, Goto, func(r *Rule) { r.Not, r.In, r.Goto = true, "lo", s.Priority+placeEnd })
	for address, id := range owners(f, ours, family) {
		add(placeHost+Priority(id), Lookup, func(r *Rule) { r.From, r.Table = address, s.TableBase+Table(id) })
	}
	add(placeEnd, Nop, nil)
}

type adder func(place Priority, action Action, change func(*Rule))

// markRules send what wears the uplink's mark to its table, but for what just came in by the uplink itself: a question
// on its way through the host goes where main says, never back out. That rule shares its priority with another
// uplink's; which of the two is asked first makes no difference, as no packet wears both marks.
func markRules(add adder, s Settings, u Uplink) {
	add(place(u.ID)-1, Goto, func(r *Rule) {
		r.In, r.Mark, r.Mask, r.Goto = u.Link, s.Mark(u), s.Mask, s.Priority+placeHost
	})
	add(place(u.ID), Lookup, func(r *Rule) { r.Mark, r.Mask, r.Table = s.Mark(u), s.Mask, s.Table(u) })
}

// blockRules lead a mark of an id above 15 to its block, there to its row, and out at the end of either.
func blockRules(add adder, s Settings, ours []Uplink) {
	high := s.Mask.High(blockBits)
	out := func(r *Rule) { r.Goto = s.Priority + placeHost }
	begun := map[Priority]bool{}
	// begin makes room for rules at a place, whose way in stands before it and takes the marks that are the id's above
	// the low bits.
	begin := func(at, in, end Priority, id marks.ID, bits int) {
		if begun[at] {
			return
		}
		begun[at] = true
		add(at, Nop, nil)
		add(end, Goto, out)
		add(in, Goto, func(r *Rule) {
			r.Mark, r.Mask, r.Goto = s.Mask.Mark(id>>bits<<bits), s.Mask.High(bits), s.Priority+at
		})
	}
	for _, u := range ours {
		if u.ID < blockSize {
			continue
		}
		if !begun[placeBlocks] {
			begun[placeBlocks] = true
			add(placeMarks, Goto, func(r *Rule) { r.Not, r.Mask, r.Goto = true, high, s.Priority+placeBlocks })
			add(placeBlocks, Nop, nil)
			add(placeBlocks+blockSize, Goto, out)
		}
		block, row := blockPlace(u.ID), rowPlace(u.ID)
		begin(block, placeBlocks+Priority(u.ID/blockSize), block+rowSize+1, u.ID, blockBits)
		begin(row, block+1+Priority(u.ID%blockSize/rowSize), row+rowSize+2, u.ID, rowBits)
	}
}

// owners are the addresses of the uplinks, as prefixes of one address. Of two uplinks with the same address the one
// with the smaller id owns it.
func owners(f Facts, ours []Uplink, family Family) map[netip.Prefix]marks.ID {
	of := make(map[netip.Prefix]marks.ID, len(ours))
	for _, u := range ours {
		for _, a := range f.Links[u.Link].Addrs {
			ip := a.Prefix.Addr()
			p := netip.PrefixFrom(ip, ip.BitLen())
			if _, taken := of[p]; taken || a.LinkLocal || FamilyOf(ip) != family {
				continue
			}
			of[p] = u.ID
		}
	}
	return of
}
