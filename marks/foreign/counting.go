package foreign

import (
	"slices"
	"strings"

	"replypath/marks/netfilter"
)

// Types of the objects that rules of nftables refer to by name (linux/netfilter/nf_tables.h, NFT_OBJECT_*), and the attribute of the
// type (NFTA_OBJREF_IMM_TYPE).
const (
	objectType    = 1
	objectCounter = 1
	objectQuota   = 2
	objectLimit   = 4
)

// countsPackets reports whether a rule as iptables-save prints it counts packets of established connections and does nothing else,
// or does something when there were many.
func countsPackets(words []string) bool {
	target := targetOf(words)
	if selectsOtherPackets(words) {
		return false
	}
	for i, w := range words[:len(words)-1] {
		if w != "-m" {
			continue
		}
		switch words[i+1] {
		case "quota", "nfacct":
			return true
		case "limit", "hashlimit":
			if target == "DROP" || target == "REJECT" {
				return true
			}
		case "recent":
			return false
		}
	}
	return target == "" || target == "RATEEST"
}

// selectsOtherPackets reports whether a rule as iptables-save prints it matches none of the packets of TCP and UDP in the middle of
// their connection.
func selectsOtherPackets(words []string) bool {
	for _, name := range []string{"--ctstate", "--state"} {
		if states, has := option(words, name); has && !strings.Contains(states, "ESTABLISHED") {
			return true
		}
	}
	protocol, has := option(words, "-p")
	return has && protocol != "tcp" && protocol != "udp" || slices.Contains(words, "--tcp-flags")
}

// noteCounting records what the expression says about whether the rule counts packets. The last one decides of a counter: the rule
// does nothing else.
func (d *ruleDecoder) noteCounting(name string, data []byte) {
	d.endsWithCounter = name == netfilter.CounterExpression
	switch name {
	case "quota":
		d.rule.Counts = true
	case "limit":
		d.limits = true
	case "objref":
		kind := netfilter.FindUint32(data, objectType)
		d.rule.Counts = d.rule.Counts || kind == objectCounter || kind == objectQuota
		d.limits = d.limits || kind == objectLimit
	}
}

// counts reports whether the decoded rule counts packets of established connections.
func (d *ruleDecoder) counts() bool {
	for _, term := range d.terms {
		if strings.HasPrefix(term, "ct state") || strings.Contains(term, "icmp") || strings.HasPrefix(term, "tcp flags") {
			return false
		}
	}
	return d.rule.Counts || d.endsWithCounter || d.limits && d.rule.Drops
}
