package uplinks

import (
	"maps"
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

// Marks beyond the first 15 are asked in blocks of 16, because the kernel walks rules one by one on every look-up.
const (
	blockBits  = 4
	blockSize  = 1 << blockBits
	blockSpace = 2 * blockSize // priorities between the beginnings of two blocks
)

// place is where the uplink's rule for its mark stands.
func place(id marks.ID) Priority {
	if id < blockSize {
		return placeMarks + Priority(id)
	}
	return blockPlace(id/blockSize) + 2 + Priority(id%blockSize)
}

func blockPlace(block marks.ID) Priority {
	return placeLeaves + Priority(block)*blockSpace
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

// blockRules lead a mark of an id above 15 to its block, and out at the block's end.
func blockRules(add adder, s Settings, ours []Uplink) {
	blocks := map[marks.ID]bool{}
	for _, u := range ours {
		if u.ID >= blockSize {
			blocks[u.ID/blockSize] = true
		}
	}
	if len(blocks) == 0 {
		return
	}
	high := s.Mask.High(blockBits)
	out := func(r *Rule) { r.Goto = s.Priority + placeHost }
	add(placeMarks, Goto, func(r *Rule) { r.Not, r.Mask, r.Goto = true, high, s.Priority+placeBlocks })
	for _, b := range slices.Sorted(maps.Keys(blocks)) {
		add(placeBlocks+Priority(b), Goto, func(r *Rule) {
			r.Mark, r.Mask, r.Goto = s.Mask.Mark(b*blockSize), high, s.Priority+blockPlace(b)
		})
		add(blockPlace(b), Nop, nil)
		add(blockPlace(b)+blockSize+2, Goto, out)
	}
	add(placeBlocks, Nop, nil)
	add(placeBlocks+blockSize, Goto, out)
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
