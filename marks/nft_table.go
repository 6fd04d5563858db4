package marks

import (
	"fmt"
	"slices"
	"strings"
)

// NFTTable is the table of the backend Nftables, in the family inet. It holds the chains of both address families: ip-pre
// and ip6-pre are Pre. Base chains lead each packet to the hooks of its family: prerouting to ip-prerouting, which holds
// the hooks of PREROUTING.
const NFTTable = "replypath"

// NFTBase is a base chain of NFTTable.
type NFTBase struct {
	Table    string // of iptables
	Builtin  string // the built-in chain of that table at the same hook
	Type     string // in nft(8)
	Priority int32
}

// NFTBases are the base chains, in the order in which a packet traverses them. The priorities are next to that of mangle,
// and no one else's: among chains of the same priority the order changes whenever one of them is loaded again. That of
// address translation is behind the operator's. A base chain exists while it has hooks.
var NFTBases = [...]NFTBase{
	{MangleTable, "PREROUTING", "filter", -151},
	{MangleTable, "OUTPUT", "route", -151},
	{MangleTable, "POSTROUTING", "filter", -149},
	{MasqTable, "POSTROUTING", "nat", 101},
}

// hook returns the name of the hook in nft(8).
func (b NFTBase) hook() string { return strings.ToLower(b.Builtin) }

// Name returns the chain's name: that of its hook, behind that of the table of address translation.
func (b NFTBase) Name() string {
	if b.Table == MasqTable {
		return MasqTable + "-" + b.hook()
	}
	return b.hook()
}

// HookChain returns the name of the chain with the family's hooks.
func (b NFTBase) HookChain(ipv6 bool) string { return nftPrefix(ipv6) + b.Name() }

// nftPrefix starts the names of a family's chains, maps and counters.
func nftPrefix(ipv6 bool) string { return NFTFamily(ipv6) + "-" }

// NFTFamily returns the name of an address family in nft(8).
func NFTFamily(ipv6 bool) string {
	if ipv6 {
		return "ip6"
	}
	return "ip"
}

// nftIntercept starts the names of the chains of single intercepts, whose own names may have letters of both cases.
var nftIntercept = strings.ToLower(strings.TrimPrefix(interceptPrefix, Prefix))

// NFTChain returns the name of a chain or map in NFTTable: ip-pre for Pre, ip-tp-Web for the intercept Web.
func NFTChain(chain string, ipv6 bool) string {
	if name, is := strings.CutPrefix(chain, interceptPrefix); is {
		return nftPrefix(ipv6) + nftIntercept + name
	}
	return nftPrefix(ipv6) + strings.ToLower(strings.TrimPrefix(chain, Prefix))
}

// ParseNFTChain returns the chain or map that has the name in NFTTable. ok is false for names of another family, of
// NFTBase.HookChain, and of other programs.
func ParseNFTChain(name string, ipv6 bool) (chain string, ok bool) {
	rest, ok := strings.CutPrefix(name, nftPrefix(ipv6))
	if intercept, is := strings.CutPrefix(rest, nftIntercept); ok && is && intercept != "" {
		return interceptPrefix + intercept, true
	}
	hooks := slices.ContainsFunc(NFTBases[:], func(b NFTBase) bool { return b.HookChain(ipv6) == name })
	return Prefix + strings.ToUpper(rest), ok && !hooks && rest != "" && rest == strings.ToLower(rest)
}

// NFTCounters returns the names of the counters of an uplink's ReplyCounters in NFTTable. A rule of CounterChain refers to
// one of them, so that they keep their counts when the chain is written again.
func NFTCounters(id ID, ipv6 bool) (symmetric, stray string) {
	return fmt.Sprintf("%sseen%d", nftPrefix(ipv6), id), fmt.Sprintf("%sstray%d", nftPrefix(ipv6), id)
}

// CountersOf returns the reply counters of all uplinks in a family, given the packets of the counters by their names.
func CountersOf(packets map[string]uint64, ipv6 bool) map[ID]ReplyCounters {
	counters := map[ID]ReplyCounters{}
	for id := ID(1); id != 0; id++ {
		symmetric, stray := NFTCounters(id, ipv6)
		if n, exists := packets[symmetric]; exists {
			counters[id] = ReplyCounters{Symmetric: n, Stray: packets[stray]}
		}
	}
	return counters
}

// CounterOf returns the counter of the i-th rule of a chain in NFTTable, or "": of a CounterChain the first rule counts
// ReplyCounters.Symmetric, the last one Stray.
func CounterOf(chain string, i int, ipv6 bool) string {
	id, counts := ParseCounterChain(chain)
	symmetric, stray := NFTCounters(id, ipv6)
	switch {
	case counts && i == 0:
		return symmetric
	case counts && i == 2:
		return stray
	}
	return ""
}

// HooksOf returns the changes of the hooks of one base chain, in the order in which they are inserted: each becomes the
// first rule.
func (c Change) HooksOf(b NFTBase) (changes []HookChange) {
	for _, h := range c.Hooks {
		if h.Hook.Builtin == b.Builtin && h.Hook.Table() == b.Table {
			changes = append(changes, h)
		}
	}
	slices.SortStableFunc(changes, func(a, b HookChange) int {
		switch last := a.Hook.ComesLast(); {
		case last == b.Hook.ComesLast():
			return 0
		case last:
			return -1
		}
		return 1
	})
	return changes
}

// definition returns what follows the name of the chain in nft(8) when it is created.
func (b NFTBase) definition() string {
	return fmt.Sprintf(" { type %s hook %s priority %d; policy accept; }", b.Type, b.hook(), b.Priority)
}

// nft formats the rule that leads packets of the family to their hooks, or behind the gate of the only one to its chain.
func (b NFTBase) nft(ipv6, alone bool) string {
	family := map[bool]string{false: "ipv4", true: "ipv6"}[ipv6]
	if !alone {
		return "meta nfproto " + family + " goto " + b.HookChain(ipv6)
	}
	chain, direction := b.Behind()
	if direction != "" {
		family += " ct direction " + strings.ToLower(direction)
	}
	return "meta nfproto " + family + " goto " + NFTChain(chain, ipv6)
}
