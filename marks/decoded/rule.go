// Package decoded reads mangle rules out of the bytes in which the kernel gives them: a table of the legacy backend
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h), or the chains and rules of nftables
// (linux/netfilter/nf_tables.h). It asks the kernel nothing, and takes no byte on trust.
package decoded

import (
	"slices"
	"strings"

	"replypath/marks"
)

// Rule is a rule as the kernel holds it.
type Rule struct {
	marks.Rule        // what of it is of the kinds that we write
	Whole      bool   // there is no more to it
	Native     bool   // it is as nft(8) writes it and iptables does not: iptables may not be able to read it
	Handle     uint64 // its name among the rules of a table of nftables
}

// Table is the rules of each chain of a table, in order. A chain without rules has an entry too.
type Table map[string][]Rule

// Places are where in the built-in chains each rule of ours stands, from 0 on.
func (t Table) Places() map[marks.Hook][]int {
	places := map[marks.Hook][]int{}
	for chain, rules := range t {
		if !marks.Hooked(chain) {
			continue
		}
		for i, r := range rules {
			if h := (marks.Hook{Builtin: chain, Rule: r.Rule}); r.Whole && h.Ours() {
				places[h] = append(places[h], i)
			}
		}
	}
	return places
}

// Native reports whether a rule of ours in a built-in chain is as nft(8) writes it.
func (t Table) Native(h marks.Hook) bool {
	return slices.ContainsFunc(t[h.Builtin], func(r Rule) bool { return r.Whole && r.Native && r.Rule == h.Rule })
}

// to is a jump or goto, and whether we write such: all our chains lead to ours alone.
func to(v marks.Verb, chain string) (t marks.Target, known bool) {
	return marks.Target{Verb: v, Chain: chain}, plain(chain) && strings.HasPrefix(chain, marks.Prefix)
}

// begins is a link's name that stands for all that begin so, and exactly is one that stands for itself.
func begins(name string) (text string, known bool) { return name + "+", plain(name) }

func exactly(name string) (text string, known bool) {
	return name, plain(name) && !strings.HasSuffix(name, "+")
}

// plain reports whether a name is one word of a line.
func plain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}
