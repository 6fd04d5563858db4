package uplinks

import (
	"math/bits"
	"net/netip"
	"slices"

	"replypath/marks"
)

// MaxDefaultPrefixLen returns the longest prefix length of a route that counts as a default route. VPN clients split a
// default route into 0.0.0.0/1 and 128.0.0.0/1, or ::/3, 2000::/4 and so on. The largest private networks are longer:
// 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193).
func MaxDefaultPrefixLen(f Family) int {
	if f == IPv6 {
		return 6
	}
	return 7
}

// IsDefaultRoute reports whether a route to the prefix counts as a default route, or as a piece of one.
func IsDefaultRoute(p netip.Prefix) bool { return p.Bits() <= MaxDefaultPrefixLen(FamilyOf(p.Addr())) }

// The kernel evaluates rules one by one on every look-up. So the rules for marks are a trie: buckets of 4 ids, and above them
// levels, whose gotos lead to the part of the buckets that the mark is in, or pass it on to the first one. Buckets are small
// because each id has two rules in its bucket.
const (
	bucketBits   = 2
	bucketSize   = 1 << bucketBits
	trieLevels   = 6  // bits of a bucket's number: ids have 8
	bucketStride = 14 // priorities from one bucket to the next: levels, start, marks, exit
)

// levelsOfTrie are the bits of a bucket's number below each level. A rule whose mark does not match costs the kernel 17
// instructions, one that matches 70: for random ids levels of two bits are the cheapest by little, and as two and three bits
// and one the worst case, the highest ids, is a match less.
var levelsOfTrie = [...]int{4, 1, 0}

// bucketOf returns the number of the id's bucket.
func bucketOf(id marks.ID) int { return int(id) >> bucketBits }

// bucketOffset returns the offset at which a bucket starts, behind the priorities of its levels.
func bucketOffset(bucket int) Priority {
	return offsetBuckets + Priority(bucket)*bucketStride + trieLevels
}

// levelOffset returns the offset of the gotos to the parts of the 2^level buckets from the given one on. Level 0 is the bucket
// itself.
func levelOffset(level, bucket int) Priority { return bucketOffset(bucket) - Priority(level) }

// markOffset returns the offset of the look-up for the uplink's mark. The goto for its own link is directly before it.
func markOffset(id marks.ID) Priority {
	if id < bucketSize {
		return offsetMarks + Priority(id)
	}
	return bucketOffset(bucketOf(id)) + 2 + Priority(id%bucketSize)
}

// addRules adds the rules of one family. They route two kinds of packets: those with a mark, and those that the host itself
// sends from an uplink's address. Every other packet leaves the block without a look-up (the host's own after one rule for
// each address), so that it meets the operator's rules and main as it would without replypath. Marks come before addresses: a
// packet whose mark and source address belong to different uplinks follows its mark.
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
	specific := func(r *Rule) {
		r.Table, r.SuppressLength, r.SuppressGroup = MainTable, int32(MaxDefaultPrefixLen(family)), int64(s.Group)
	}
	add(offsetMain, Lookup, func(r *Rule) { specific(r); r.Not, r.Mask = true, s.Mask })
	add(offsetMarks, Goto, func(r *Rule) { r.Mask, r.Goto = s.Mask, s.Priority+offsetSources })
	for _, u := range managed {
		addMarkRules(add, s, u)
	}
	addTrieRules(add, s, managed)
	add(offsetSources, Goto, func(r *Rule) { r.Not, r.IIF, r.Goto = true, "lo", s.Priority+offsetEnd })
	owners := addrOwners(f, managed, family)
	addInterceptedNetworks(owners, s, f, managed, family)
	for address, id := range owners {
		add(offsetSources+Priority(id), Goto, func(r *Rule) { r.From, r.Goto = address, s.Priority+offsetSourceMain })
		add(offsetSourceTable+Priority(id), Lookup, func(r *Rule) { r.From, r.Table = address, s.TableBase+Table(id) })
	}
	add(offsetOther, Goto, func(r *Rule) { r.Goto = s.Priority + offsetEnd })
	add(offsetSourceMain, Lookup, specific)
	add(offsetEnd, Nop, nil)
}

// ruleAdder adds a rule at an offset in the block, after change has set its selectors and target.
type ruleAdder func(offset Priority, action Action, change func(*Rule))

// addMarkRules adds the look-up of the uplink's table for its mark, and before it a goto for packets that came in by the
// uplink itself: a forwarded request is routed by main, not back out. The goto can have the priority of another
// uplink's look-up; their order does not matter, as no packet has both marks.
func addMarkRules(add ruleAdder, s Settings, u Uplink) {
	if u.named() {
		add(markOffset(u.ID)-1, Goto, func(r *Rule) {
			r.IIF, r.Mark, r.Mask, r.Goto = u.Link, s.Mark(u), s.Mask, s.Priority+offsetSources
		})
	}
	add(markOffset(u.ID), Lookup, func(r *Rule) { r.Mark, r.Mask, r.Table = s.Mark(u), s.Mask, s.Table(u) })
}

// addTrieRules adds the gotos to the buckets after the first, and those out at a bucket's end. The goto to a part without an
// uplink has no target: the kernel skips such a rule, and resolves it when the target is added (fib_rules.c, unresolved).
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
		for level := levels; level > 0; level = partLevel(level) {
			first := bucket >> level << level
			once(levelOffset(level, first), func() { addLevel(add, s, level, first) })
		}
		once(bucketOffset(bucket), func() {
			// What comes here has a mark, so that this rule, a target only, is one that does not match.
			add(bucketOffset(bucket), Nop, func(r *Rule) { r.Mask = s.Mask })
			add(bucketOffset(bucket)+bucketSize+2, Goto, func(r *Rule) { r.Goto = s.Priority + offsetSources })
		})
	}
}

// partLevel returns the level of the parts into which a level divides its buckets.
func partLevel(level int) int {
	for _, below := range levelsOfTrie {
		if below < level {
			return below
		}
	}
	return 0
}

// addLevel adds the gotos of a level to all its parts but the first, which follows.
func addLevel(add ruleAdder, s Settings, level, first int) {
	below := partLevel(level)
	parts := 1 << (level - below)
	mark := func(part int) marks.Mark { return s.Mask.Mark(marks.ID(part << below << bucketBits)) }
	for part := parts - 1; part > 0; part-- {
		add(levelOffset(level, first), Goto, func(r *Rule) {
			r.Mark, r.Mask, r.Goto = mark(part), marks.Mask(mark(parts-1)), s.Priority+levelOffset(below, first+part<<below)
		})
	}
}

// addrOwners returns the uplink of each address, as a single-address prefix. If several uplinks have an address, an uplink
// that can send from it owns it, and of those the one with the smallest id.
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
