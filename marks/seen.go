package marks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Counter names the chain that counts the first replies of an uplink. It holds nothing else, so that it keeps its
// counts while everything around it changes.
func Counter(id ID) string { return fmt.Sprintf("%sS%d", Prefix, id) }

// CountedIn is the uplink whose replies a chain counts: first those that left by their ingress link, then those that
// strayed.
func CountedIn(chain string) (id ID, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(chain, Prefix+"S"), 10, 8)
	id = ID(n)
	return id, err == nil && n > 0 && chain == Counter(id)
}

// Blocks of marks: more than Plain ids are told apart by the high bits of their marks first.
const (
	blockBits = 4
	blockSize = 1 << blockBits
)

func block(b ID) string { return fmt.Sprintf("%sB%d", Prefix, b) }

// seen adds the chains in which replies find their uplink's counter. What goes to the host itself did not leave, and what
// has no mark is nobody's.
func seen(all []Chain, mask Mask, ingress []Ingress) []Chain {
	top := len(all)
	all = append(all, Chain{Post, []Rule{
		{Ctmark: MarkTest{Mask: mask}, Target: Target{Verb: Return}},
		{Out: "lo", Target: Target{Verb: Return}},
	}})
	blocks := map[ID]int{} // where each one's chain is
	if slices.ContainsFunc(ingress, func(in Ingress) bool { return mask.ID(in.Mark) > Plain }) {
		for _, in := range ingress {
			b := mask.ID(in.Mark) / blockSize
			if _, there := blocks[b]; there {
				continue
			}
			blocks[b] = len(all)
			all = append(all, Chain{Name: block(b)})
			test := MarkTest{Mark: mask.Mark(b * blockSize), Mask: mask.High(blockBits)}
			all[top].Rules = append(all[top].Rules, Rule{Ctmark: test, Target: Target{Verb: Goto, Chain: block(b)}})
		}
	}
	for _, in := range ingress {
		id := mask.ID(in.Mark)
		from := &all[top]
		if at, there := blocks[id/blockSize]; there {
			from = &all[at]
		}
		from.Rules = append(from.Rules, Rule{Ctmark: MarkTest{Mark: in.Mark, Mask: mask}, Target: Target{Verb: Goto, Chain: Counter(id)}})
		all = append(all, Chain{Counter(id), []Rule{
			{Out: in.Link, Target: Target{Verb: Return}},
			{Target: Target{Verb: Return}},
		}})
	}
	return all
}
