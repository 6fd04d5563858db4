package foreign

import (
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// PlacedRules are all rules of nftables by their places, for events of traced packets.
type PlacedRules struct {
	rules map[place]placedRule
	saved map[string][]Rule // what iptables prints of a chain, without the rules of replypath, by family, table and chain
}

type place struct {
	location string // family, table and chain
	handle   uint64
}

type placedRule struct {
	Behaviour
	index int // among the rules of other programs in the chain
}

// ReadPlacedRules reads the rules of nftables. printed are the rules of other programs as Read returns them.
func ReadPlacedRules(printed []Rule) (PlacedRules, error) {
	objects, err := netfilter.Objects(unix.NFT_MSG_GETRULE)
	if err != nil {
		return PlacedRules{}, err
	}
	p := PlacedRules{map[place]placedRule{}, map[string][]Rule{}}
	counts := map[string]int{}
	for _, o := range objects {
		at := location(o, unix.NFTA_RULE_CHAIN)
		b := ReadBehaviour(o.Family, o.Attributes, linkName)
		handle := nlattr.Find(o.Attributes, unix.NFTA_RULE_HANDLE).BigEndian()
		p.rules[place{at, handle}] = placedRule{b, counts[at]}
		if !strings.HasPrefix(b.Chain, marks.Prefix) {
			counts[at]++
		}
	}
	for _, r := range printed {
		if r.Backend == marks.NFT {
			at := "ip " + r.Location
			if r.IsIPv6() {
				at = "ip6 " + r.Location
			}
			p.saved[at] = append(p.saved[at], r)
		}
	}
	return p, nil
}

// Find returns what the rule of the event does, and where it is, for the operator: table ip mangle, chain POSTROUTING. A rule that
// iptables has written has the text that iptables prints.
func (p PlacedRules) Find(e netfilter.TraceEvent) (b Behaviour, where string) {
	family := familyNames[e.Family]
	at := fmt.Sprintf("%s %s %s", family, e.Table, e.Chain)
	where = fmt.Sprintf("table %s %s, chain %s", family, e.Table, e.Chain)
	if e.Handle == 0 {
		return Behaviour{Text: map[bool]string{true: "policy drop", false: "policy accept"}[e.Drops], Drops: e.Drops, LinksOnly: true}, where
	}
	r, known := p.rules[place{at, e.Handle}]
	if !known {
		return Behaviour{Text: fmt.Sprintf("rule %d", e.Handle), Drops: e.Drops, ByAddress: true}, where
	}
	b = r.Behaviour
	b.Drops = b.Drops || e.Drops
	if saved := p.saved[at]; r.index < len(saved) {
		words := strings.Fields(quotedText.ReplaceAllString(saved[r.index].Text, "-"))
		b.Text, b.LinksOnly = saved[r.index].Text, selectsLinksOnly(words)
		b.ByAddress = selectsByAddress(words)
		where = fmt.Sprintf("table %s (%s), chain %s", e.Table, strings.TrimSuffix(saved[r.index].Tool, "-save"), e.Chain)
	}
	return b, where
}

// IsOurs reports whether the event is about replypath's own chains or capture table.
func IsOurs(e netfilter.TraceEvent) bool {
	return isOwnTable(e.Table) || strings.HasPrefix(e.Chain, marks.Prefix)
}

// byAddress are the options and matches of iptables that select by addresses, or by what only some clients have.
var byAddress = []string{"-s", "-d", "set", "iprange", "recent", "hashlimit", "limit", "connlimit", "geoip", "mac", "string", "u32", "bpf", "statistic", "addrtype", "policy", "rpfilter", "time", "quota"}

// selectsByAddress reports whether a rule as iptables-save prints it selects by addresses, or by what only some clients have.
func selectsByAddress(words []string) bool {
	for i, w := range words {
		for _, option := range byAddress {
			if w == option && (strings.HasPrefix(w, "-") || i > 0 && words[i-1] == "-m") {
				return true
			}
		}
	}
	return false
}
