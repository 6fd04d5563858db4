package uplinks

import (
	"math/bits"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Where the rules of a block stand, counted from its first priority. Every place follows from an uplink's id, so that
// one uplink's change moves no other's rule.
const (
	placeMain  = 0    // what main knows specifically, not by an uplink
	placeMarks = 1    // dispatch by mark; the rule of an uplink of the first row stands at placeMarks + id
	placeRows  = 100  // the other rows, and what leads to them
	placeHost  = 1000 // only the host's own packets go on; an uplink's addresses stand at placeHost + id
	placeEnd   = 1999
)

// Everybody is the longest prefix of a route that is not for a network but for the Internet or a piece of it: VPN clients
// give a default route as 0.0.0.0/1 and 128.0.0.0/1, or as ::/3, 2000::/4 and so on. No network inside is so large:
// 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193) are the largest.
func Everybody(f Family) int {
	if f == IPv6 {
		return 6
	}
	return 7
}

// ForEverybody reports whether a route with this prefix is no network's.
func ForEverybody(p netip.Prefix) bool { return p.Bits() <= Everybody(FamilyOf(p.Addr())) }

// The kernel walks rules one by one on every look-up. So marks are asked in rows of 4, and each bit of a row's number
// leads by one rule past the half in which it is not. Rows are so short because each mark has two rules in its row.
const (
	rowBits  = 2
	rowSize  = 1 << rowBits
	rowTurns = 6  // bits of a row's number: ids have 8
	rowSpace = 14 // priorities from one row to the next: for turns, the beginning, the marks and the way out
)

// rowOf is the number of the id's row.
func rowOf(id marks.ID) int { return int(id) >> rowBits }

// rowPlace is where a row begins.
func rowPlace(row int) Priority { return placeRows + Priority(row)*rowSpace + rowTurns }

// turnPlace is where the rule stands that leads past the lower half of the 2 to the n rows from the given one on. With n
// being 0 it is the row itself.
func turnPlace(n, row int) Priority { return rowPlace(row) - Priority(n) }

// place is where the uplink's rule for its mark stands.
func place(id marks.ID) Priority {
	if id < rowSize {
		return placeMarks + Priority(id)
	}
	return rowPlace(rowOf(id)) + 2 + Priority(id%rowSize)
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
		r.Table, r.SuppressLength, r.SuppressGroup = MainTable, int32(Everybody(family)), int64(s.Group)
	})
	add(placeMarks, Goto, func(r *Rule) { r.Mask, r.Goto = s.Mask, s.Priority+placeHost })
	for _, u := range ours {
		markRules(add, s, u)
	}
	rowRules(add, s, ours)
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

// rowRules lead a mark of an id that is not in the first row to its row, and out at its end. A turn to a half in which
// there is no uplink leads nowhere: the kernel passes over it, and makes it whole when there is one.
func rowRules(add adder, s Settings, ours []Uplink) {
	turns := bits.Len(uint(s.Mask.MaxID())) - rowBits
	begun := map[Priority]bool{}
	begin := func(at Priority, rules func()) {
		if !begun[at] {
			begun[at] = true
			rules()
		}
	}
	for _, u := range ours {
		row := rowOf(u.ID)
		if row == 0 {
			continue
		}
		begin(placeMarks, func() {
			add(placeMarks, Goto, func(r *Rule) { r.Not, r.Mask, r.Goto = true, s.Mask.High(rowBits), s.Priority+turnPlace(turns, 0) })
		})
		for n := turns; n > 0; n-- {
			half, first := 1<<(n-1), row>>n<<n
			begin(turnPlace(n, first), func() {
				add(turnPlace(n, first), Goto, func(r *Rule) {
					bit := s.Mask.Mark(marks.ID(half << rowBits))
					r.Mark, r.Mask, r.Goto = bit, marks.Mask(bit), s.Priority+turnPlace(n-1, first+half)
				})
			})
		}
		begin(rowPlace(row), func() {
			add(rowPlace(row), Nop, nil)
			add(rowPlace(row)+rowSize+2, Goto, func(r *Rule) { r.Goto = s.Priority + placeHost })
		})
	}
}

// owners are the addresses of the uplinks, as prefixes of one address. Of several uplinks with the same address, the one
// that can answer from it owns it, and of those the one with the smallest id.
func owners(f Facts, ours []Uplink, family Family) map[netip.Prefix]marks.ID {
	of, live := make(map[netip.Prefix]marks.ID, len(ours)), map[netip.Prefix]bool{}
	for _, u := range ours {
		l, _ := f.link(u)
		for _, a := range l.Addrs {
			ip := a.Prefix.Addr()
			p := netip.PrefixFrom(ip, ip.BitLen())
			_, taken := of[p]
			if taken && (live[p] || !l.answersFrom(a)) || a.LinkLocal || FamilyOf(ip) != family {
				continue
			}
			of[p], live[p] = u.ID, l.answersFrom(a)
		}
	}
	return of
}
