package marks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CounterChain names the chain that counts the first replies of an uplink. It holds nothing else, so that it keeps its
// counts while everything around it changes.
func CounterChain(id ID) string { return fmt.Sprintf("%sS%d", Prefix, id) }

// ParseCounterChain is the uplink whose replies a chain counts: first those that left by their ingress link, then those that
// strayed.
func ParseCounterChain(chain string) (id ID, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(chain, Prefix+"S"), 10, 8)
	id = ID(n)
	return id, err == nil && n > 0 && chain == CounterChain(id)
}

// Blocks of marks: more than MaxLinear ids are told apart by the high bits of their marks first.
const (
	blockBits = 4
	blockSize = 1 << blockBits
)

func markBlockChain(b ID) string { return fmt.Sprintf("%sB%d", Prefix, b) }

// addReplyCounters adds the chains in which replies find their uplink's counter. What goes to the host itself did not leave, and what
// has no mark is nobody's.
func addReplyCounters(chains []Chain, mask Mask, ingress []Ingress) []Chain {
	post := len(chains)
	chains = append(chains, Chain{Post, []Rule{
		{Ctmark: MarkMatch{Mask: mask}, Action: Action{Kind: Return}},
		{Out: "lo", Action: Action{Kind: Return}},
	}})
	blocks := map[ID]int{} // where each one's chain is
	if slices.ContainsFunc(ingress, func(in Ingress) bool { return mask.ID(in.Mark) > MaxLinear }) {
		for _, in := range ingress {
			b := mask.ID(in.Mark) / blockSize
			if _, exists := blocks[b]; exists {
				continue
			}
			blocks[b] = len(chains)
			chains = append(chains, Chain{Name: markBlockChain(b)})
			test := MarkMatch{Mark: mask.Mark(b * blockSize), Mask: mask.High(blockBits)}
			chains[post].Rules = append(chains[post].Rules, Rule{Ctmark: test, Action: Action{Kind: Goto, Chain: markBlockChain(b)}})
		}
	}
	for _, in := range ingress {
		id := mask.ID(in.Mark)
		source := &chains[post]
		if index, exists := blocks[id/blockSize]; exists {
			source = &chains[index]
		}
		source.Rules = append(source.Rules, Rule{Ctmark: MarkMatch{Mark: in.Mark, Mask: mask}, Action: Action{Kind: Goto, Chain: CounterChain(id)}})
		chains = append(chains, Chain{CounterChain(id), []Rule{
			{Out: in.Link, Action: Action{Kind: Return}},
			{Action: Action{Kind: Return}},
		}})
	}
	return chains
}
