package uplinks

import (
	"math/bits"
	"net/netip"
	"slices"

	"replypath/marks"
)

// MaxDefaultPrefixLen is the longest prefix of a route that is not for a network but for the Internet or a piece of it: VPN clients
// give a default route as 0.0.0.0/1 and 128.0.0.0/1, or as ::/3, 2000::/4 and so on. No network inside is so large:
// 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193) are the largest.
func MaxDefaultPrefixLen(f Family) int {
	if f == IPv6 {
		return 6
	}
	return 7
}

// IsDefaultRoute reports whether a route with this prefix is no network's.
func IsDefaultRoute(p netip.Prefix) bool { return p.Bits() <= MaxDefaultPrefixLen(FamilyOf(p.Addr())) }

// The kernel walks rules one by one on every look-up. So marks are asked in rows of 4, and each bit of a row's number
// leads by one rule past the half in which it is not. Rows are so short because each mark has two rules in its row.
const (
	bucketBits   = 2
	bucketSize   = 1 << bucketBits
	trieLevels   = 6  // bits of a row's number: ids have 8
	bucketStride = 14 // priorities from one row to the next: for turns, the beginning, the marks and the way out
)

// bucketOf is the number of the id's row.
func bucketOf(id marks.ID) int { return int(id) >> bucketBits }

// bucketOffset is where a row begins.
func bucketOffset(bucket int) Priority {
	return offsetBuckets + Priority(bucket)*bucketStride + trieLevels
}

// levelOffset is where the rule stands that leads past the lower half of the 2 to the n rows from the given one on. With n
// being 0 it is the row itself.
func levelOffset(level, bucket int) Priority { return bucketOffset(bucket) - Priority(level) }

// markOffset is where the uplink's rule for its mark stands.
func markOffset(id marks.ID) Priority {
	if id < bucketSize {
		return offsetMarks + Priority(id)
	}
	return bucketOffset(bucketOf(id)) + 2 + Priority(id%bucketSize)
}

// addRules adds the family's rules. A connection whose mark and source differ follows its mark: marks stand before
// addresses.
func addRules(want State, s Settings, f Facts, family Family) {
	managed := slices.DeleteFunc(slices.Clone(s.Uplinks), func(u Uplink) bool { return !u.Manages(family) })
	if len(managed) == 0 {
		return
	}
	add := func(offset Priority, action Action, change func(*Rule)) {
		r := newRule(family, s.Priority+offset, action)
		if change != nil {
			change(&r)
		}
		want.Rules[r] = true
	}
	add(offsetMain, Lookup, func(r *Rule) {
		r.Table, r.SuppressLength, r.SuppressGroup = MainTable, int32(MaxDefaultPrefixLen(family)), int64(s.Group)
	})
	add(offsetMarks, Goto, func(r *Rule) { r.Mask, r.Goto = s.Mask, s.Priority+offsetSources })
	for _, u := range managed {
		addMarkRules(add, s, u)
	}
	addTrieRules(add, s, managed)
	add(offsetSources, Goto, func(r *Rule) { r.Not, r.IIF, r.Goto = true, "lo", s.Priority+offsetEnd })
	for address, id := range addrOwners(f, managed, family) {
		add(offsetSources+Priority(id), Lookup, func(r *Rule) { r.From, r.Table = address, s.TableBase+Table(id) })
	}
	add(offsetEnd, Nop, nil)
}

type ruleAdder func(place Priority, action Action, change func(*Rule))

// addMarkRules send what wears the uplink's mark to its table, but for what just came in by the uplink itself: a question
// on its way through the host goes where main says, never back out. That rule shares its priority with another
// uplink's; which of the two is asked first makes no difference, as no packet wears both marks.
func addMarkRules(add ruleAdder, s Settings, u Uplink) {
	add(markOffset(u.ID)-1, Goto, func(r *Rule) {
		r.IIF, r.Mark, r.Mask, r.Goto = u.Link, s.Mark(u), s.Mask, s.Priority+offsetSources
	})
	add(markOffset(u.ID), Lookup, func(r *Rule) { r.Mark, r.Mask, r.Table = s.Mark(u), s.Mask, s.Table(u) })
}

// addTrieRules lead a mark of an id that is not in the first row to its row, and out at its end. A turn to a half in which
// there is no uplink leads nowhere: the kernel passes over it, and makes it whole when there is one.
func addTrieRules(add ruleAdder, s Settings, managed []Uplink) {
	levels := bits.Len(uint(s.Mask.MaxID())) - bucketBits
	added := map[Priority]bool{}
	once := func(at Priority, rules func()) {
		if !added[at] {
			added[at] = true
			rules()
		}
	}
	for _, u := range managed {
		bucket := bucketOf(u.ID)
		if bucket == 0 {
			continue
		}
		once(offsetMarks, func() {
			add(offsetMarks, Goto, func(r *Rule) {
				r.Not, r.Mask, r.Goto = true, s.Mask.High(bucketBits), s.Priority+levelOffset(levels, 0)
			})
		})
		for level := levels; level > 0; level-- {
			half, first := 1<<(level-1), bucket>>level<<level
			once(levelOffset(level, first), func() {
				add(levelOffset(level, first), Goto, func(r *Rule) {
					bit := s.Mask.Mark(marks.ID(half << bucketBits))
					r.Mark, r.Mask, r.Goto = bit, marks.Mask(bit), s.Priority+levelOffset(level-1, first+half)
				})
			})
		}
		once(bucketOffset(bucket), func() {
			add(bucketOffset(bucket), Nop, nil)
			add(bucketOffset(bucket)+bucketSize+2, Goto, func(r *Rule) { r.Goto = s.Priority + offsetSources })
		})
	}
}

// addrOwners are the addresses of the uplinks, as prefixes of one address. Of several uplinks with the same address, the one
// that can answer from it owns it, and of those the one with the smallest id.
func addrOwners(f Facts, managed []Uplink, family Family) map[netip.Prefix]marks.ID {
	owner, usable := make(map[netip.Prefix]marks.ID, len(managed)), map[netip.Prefix]bool{}
	for _, u := range managed {
		l, _ := f.LinkOf(u)
		for _, a := range l.Addrs {
			ip := a.Prefix.Addr()
			p := netip.PrefixFrom(ip, ip.BitLen())
			_, taken := owner[p]
			if taken && (usable[p] || !l.canSendFrom(a)) || a.LinkLocal || FamilyOf(ip) != family {
				continue
			}
			owner[p], usable[p] = u.ID, l.canSendFrom(a)
		}
	}
	return owner
}
