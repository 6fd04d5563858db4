package foreign

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// egressChain is a chain that packets traverse after their route is known.
type egressChain struct {
	devices     marks.List[string] // of a netdev chain
	dropsByRule bool               // its policy is drop
}

// Hook numbers (linux/netfilter.h), and the attributes of a chain that x/sys does not define (linux/netfilter/nf_tables.h).
const (
	netdevIngress   = 0 // NF_NETDEV_INGRESS
	netdevEgress    = 1 // NF_NETDEV_EGRESS
	inetIngress     = 5 // NF_INET_INGRESS
	hookDevices     = 4 // NFTA_HOOK_DEVS
	natType         = "nat"
	policyDrop      = 0 // NF_DROP
	policyAttribute = unix.NFTA_CHAIN_POLICY
)

// egressChains returns the chains at POSTROUTING and at the egress of links by location, with those that they jump to. Chains
// of NAT are none: established connections do not traverse them.
func egressChains(chains []netfilter.Object, rules []chainRule) map[string]egressChain {
	return chainsAt(chains, rules, func(family uint8, hook uint32) bool {
		atPostrouting := slices.Contains([]uint8{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6}, family) && hook == unix.NF_INET_POST_ROUTING
		return family == unix.NFPROTO_NETDEV && hook == netdevEgress || atPostrouting
	})
}

// forwardedChains returns the chains that packets which are forwarded traverse, with those that they jump to, by location.
func forwardedChains(chains []netfilter.Object, rules []chainRule) map[string]egressChain {
	return chainsAt(chains, rules, func(family uint8, hook uint32) bool {
		return slices.Contains([]uint8{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6}, family) &&
			slices.Contains([]uint32{unix.NF_INET_PRE_ROUTING, unix.NF_INET_FORWARD, unix.NF_INET_POST_ROUTING}, hook)
	})
}

// ingressChains returns the chains at the ingress of links by location, with those that they jump to.
func ingressChains(chains []netfilter.Object, rules []chainRule) map[string]egressChain {
	return chainsAt(chains, rules, func(family uint8, hook uint32) bool {
		return family == unix.NFPROTO_NETDEV && hook == netdevIngress || family == unix.NFPROTO_INET && hook == inetIngress
	})
}

// chainsAt returns the base chains of other programs at hooks, with the chains that they jump to, by location.
func chainsAt(chains []netfilter.Object, rules []chainRule, is func(family uint8, hook uint32) bool) map[string]egressChain {
	all := map[string]egressChain{}
	for _, c := range chains {
		hook := nlattr.Find(c.Attributes, unix.NFTA_CHAIN_HOOK)
		if hook == nil || isOwnTable(netfilter.FindString(c.Attributes, unix.NFTA_CHAIN_TABLE)) || netfilter.HasString(c.Attributes, unix.NFTA_CHAIN_TYPE, natType) {
			continue
		}
		if is(c.Family, netfilter.FindUint32(hook, unix.NFTA_HOOK_HOOKNUM)) {
			policy := nlattr.Find(c.Attributes, policyAttribute)
			all[location(c, unix.NFTA_CHAIN_NAME)] = egressChain{devicesOf(hook), policy != nil && policy.BigEndian() == policyDrop}
		}
	}
	for before := -1; before != len(all); {
		before = len(all)
		for _, r := range rules {
			from, is := all[r.rule.Location]
			for _, j := range r.jumps(nil) {
				at := r.beside(j.chain)
				if _, known := all[at]; is && !known {
					all[at] = egressChain{devices: from.devices}
				}
			}
		}
	}
	return all
}

// devicesOf returns the links of a netdev chain.
func devicesOf(hook []byte) marks.List[string] {
	var names []string
	if name := netfilter.FindString(hook, unix.NFTA_HOOK_DEV); name != "" {
		names = append(names, name)
	}
	for _, name := range nlattr.All(nlattr.Find(hook, hookDevices)) {
		names = append(names, unix.ByteSliceToString(name))
	}
	slices.Sort(names)
	return marks.NewList(slices.Compact(names)...)
}

// droppingPolicies returns a rule for each base chain whose policy is drop.
func droppingPolicies(chains map[string]egressChain) (rules []Rule) {
	for _, at := range slices.Sorted(maps.Keys(chains)) {
		if c := chains[at]; c.dropsByRule {
			rules = append(rules, Rule{Tool: "nft list ruleset", Location: at, Chain: at[strings.LastIndexByte(at, ' ')+1:], Text: "policy drop", Drops: true, LinksOnly: true, Devices: c.devices})
		}
	}
	return rules
}

// setBehaviour records what a rule of an egress chain does.
func (r *Rule) setBehaviour(c egressChain, b Behaviour) {
	r.Devices = c.devices
	r.Drops, r.Forwards, r.Rewrites, r.LinksOnly = b.Drops, b.Forwards, strings.Join(b.Rewrites, ", "), b.LinksOnly
	if r.changesPackets() {
		r.Text = b.Text
	}
}

// linkName returns the name of the link with that index in the network namespace of the calling thread.
func linkName(index int) string {
	if l, err := net.InterfaceByIndex(index); err == nil {
		return l.Name
	}
	return fmt.Sprint(index)
}
