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
	Builtin  string // the built-in chain of iptables at the same hook
	Type     string // in nft(8)
	Priority int32
}

// NFTBases are the base chains, in the order in which a packet traverses them. The priorities are next to that of mangle,
// and no one else's: among chains of the same priority the order changes whenever one of them is loaded again.
var NFTBases = [...]NFTBase{{"PREROUTING", "filter", -151}, {"OUTPUT", "route", -151}, {"POSTROUTING", "filter", -149}}

// Name returns the chain's name, which is also that of its hook.
func (b NFTBase) Name() string { return strings.ToLower(b.Builtin) }

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

// NFTChain returns the name of a chain or map in NFTTable: ip-pre for Pre.
func NFTChain(chain string, ipv6 bool) string {
	return nftPrefix(ipv6) + strings.ToLower(strings.TrimPrefix(chain, Prefix))
}

// ParseNFTChain returns the chain or map that has the name in NFTTable. ok is false for names of another family, of
// NFTBase.HookChain, and of other programs.
func ParseNFTChain(name string, ipv6 bool) (chain string, ok bool) {
	rest, ok := strings.CutPrefix(name, nftPrefix(ipv6))
	hooks := slices.ContainsFunc(NFTBases[:], func(b NFTBase) bool { return b.HookChain(ipv6) == name })
	return Prefix + strings.ToUpper(rest), ok && !hooks && rest != "" && rest == strings.ToLower(rest)
}

// NFTCounters returns the names of the counters of an uplink's ReplyCounters in NFTTable. A rule of CounterChain refers to
// one of them, so that they keep their counts when the chain is written again.
func NFTCounters(id ID, ipv6 bool) (symmetric, stray string) {
	return fmt.Sprintf("%sseen%d", nftPrefix(ipv6), id), fmt.Sprintf("%sstray%d", nftPrefix(ipv6), id)
}

// HooksOf returns the changes of the hooks of one built-in chain.
func (c Change) HooksOf(builtin string) (changes []HookChange) {
	for _, h := range c.Hooks {
		if h.Hook.Builtin == builtin {
			changes = append(changes, h)
		}
	}
	return changes
}

// definition returns what follows the name of the chain in nft(8) when it is created.
func (b NFTBase) definition() string {
	return fmt.Sprintf(" { type %s hook %s priority %d; policy accept; }", b.Type, b.Name(), b.Priority)
}

// nft formats the rule that leads packets of the family to their hooks.
func (b NFTBase) nft(ipv6 bool) string {
	family := map[bool]string{false: "ipv4", true: "ipv6"}[ipv6]
	return "meta nfproto " + family + " goto " + b.HookChain(ipv6)
}
