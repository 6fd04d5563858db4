package host

import (
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// walk is the moves that are carried out while the kernel walks over all its connections once.
type walk struct {
	mask   marks.Mask // of all their marks
	filter rtnl.MarkFilter
	moves  map[markedFamily][]indexedMove
}

// markedFamily is what the connections of a path have in common.
type markedFamily struct {
	family uplinks.Family
	mark   marks.Mark
}

// indexedMove is a move, and where what it moved is counted.
type indexedMove struct {
	uplinks.Move
	index int
}

// listedBuckets is how many empty buckets of its table the kernel walks over in the time that it takes to list a connection and to read
// it: 2 microseconds, and 15 nanoseconds for a bucket.
const listedBuckets = 128

// walks returns the walks that take the least time: one for the moves of each mark, or one for all with the same mask. The kernel compares
// marks under a single mask, so that one for all lists connections of other uplinks too: it is for tables that take longer to walk than to
// list.
func walks(moves []uplinks.Move, connections, buckets int) (all []walk) {
	type group struct {
		mark marks.Mark
		mask marks.Mask
	}
	together := (countMarks(moves)-1)*buckets > listedBuckets*connections
	groups, order := map[group][]indexedMove{}, []group{}
	for i, m := range moves {
		of := group{m.Mark, m.Mask}
		if together {
			of.mark = 0
		}
		if groups[of] == nil {
			order = append(order, of)
		}
		groups[of] = append(groups[of], indexedMove{m, i})
	}
	for _, of := range order {
		all = append(all, newWalk(groups[of]))
	}
	return all
}

// countMarks returns the number of different marks of moves.
func countMarks(moves []uplinks.Move) int {
	seen := map[marks.Mark]bool{}
	for _, m := range moves {
		seen[m.Mark] = true
	}
	return len(seen)
}

// newWalk returns the walk for moves with the same mask. Its filter has what is common to their connections: it may select others too.
func newWalk(moves []indexedMove) walk {
	first, byPath := moves[0], map[markedFamily][]indexedMove{}
	k := walk{mask: first.Mask, filter: rtnl.MarkFilter{Family: first.Family, Mark: first.Mark, Mask: first.Mask}, moves: byPath}
	for _, m := range moves {
		of := markedFamily{m.Family, m.Mark}
		byPath[of] = append(byPath[of], m)
		if m.Family != k.filter.Family {
			k.filter.Family = 0
		}
		k.filter.Mask &^= marks.Mask(k.filter.Mark ^ m.Mark)
		k.filter.Mark &= marks.Mark(k.filter.Mask)
	}
	return k
}

// of returns how the connection is treated, and the index of the move by which: of several by that which does most.
func (k walk) of(c rtnl.Connection) (index int, how treatment) {
	for _, m := range k.moves[markedFamily{uplinks.FamilyOf(c.Original.From.Addr()), marks.Mark(c.Mark) & marks.Mark(k.mask)}] {
		if by := treat(m.Move, c); by > how {
			index, how = m.index, by
		}
	}
	return index, how
}
