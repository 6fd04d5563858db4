package marks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ReplyCounters are packet counts of one uplink's first replies: those that left by the ingress link, and those that
// left by another link.
type ReplyCounters struct{ Symmetric, Stray uint64 }

// CounterChain returns the name of the chain that counts the first replies of an uplink. It holds nothing else, so that
// it keeps its counts while the chains around it change.
func CounterChain(id ID) string { return fmt.Sprintf("%sS%d", Prefix, id) }

// ParseCounterChain returns the uplink whose replies a chain counts, and whether the name is that of a CounterChain.
// The chain's first rule counts ReplyCounters.Symmetric, its last Stray.
func ParseCounterChain(chain string) (id ID, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(chain, Prefix+"S"), 10, 8)
	id = ID(n)
	return id, err == nil && n > 0 && chain == CounterChain(id)
}

// More than MaxLinear ids are dispatched by the high bits of their marks first, in blocks of blockSize marks.
const (
	blockBits = 4
	blockSize = 1 << blockBits
)

func markBlockChain(b ID) string { return fmt.Sprintf("%sB%d", Prefix, b) }

// addReplyCounters appends the chains that dispatch a reply to its uplink's counter. Packets to the host itself do not
// leave it, and connections without a mark belong to no uplink: neither is counted. What came in by the uplink itself is
// no stray either: the connection was begun inside, with the mark of another one that it belongs to (active FTP). Kernels
// before 5.7 do not know in POSTROUTING by which link a packet came in, and count it.
func addReplyCounters(chains []Chain, mask Mask, ingress []Ingress) []Chain {
	post := len(chains)
	chains = append(chains, Chain{Post, []Rule{
		{Ctmark: MarkMatch{Mask: mask}, Action: Action{Kind: Return}},
		{Out: "lo", Action: Action{Kind: Return}},
	}})
	blocks := map[ID]int{} // index of each block's chain
	if slices.ContainsFunc(ingress, func(in Ingress) bool { return mask.ID(in.Mark) > MaxLinear }) {
		for _, in := range ingress {
			b := mask.ID(in.Mark) / blockSize
			if _, exists := blocks[b]; exists {
				continue
			}
			blocks[b] = len(chains)
			chains = append(chains, Chain{Name: markBlockChain(b)})
			match := MarkMatch{Mark: mask.Mark(b * blockSize), Mask: mask.High(blockBits)}
			chains[post].Rules = append(chains[post].Rules, Rule{Ctmark: match, Action: Action{Kind: Goto, Chain: markBlockChain(b)}})
		}
	}
	for _, in := range ingress {
		id := mask.ID(in.Mark)
		source := &chains[post]
		if index, exists := blocks[id/blockSize]; exists {
			source = &chains[index]
		}
		source.Rules = append(source.Rules, Rule{Ctmark: MarkMatch{Mark: in.Mark, Mask: mask}, Action: Action{Kind: Goto, Chain: CounterChain(id)}})
		chains = append(chains, Chain{CounterChain(id), counterRules(in)})
	}
	return chains
}

// counterRules returns the rules of CounterChain.
func counterRules(in Ingress) []Rule {
	return []Rule{{Out: in.Link, Action: Action{Kind: Return}}, {In: in.Link, NotIn: true, Action: Action{Kind: Return}}}
}
