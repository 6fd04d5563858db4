package marks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// RouterCounters is the definition of the table RouterCountersName of the family inet: it counts the first replies of uplinks that
// share a link by the router that they leave by, which the chains of replies cannot, as all leave by the same link. iptables has
// no match for the next hop, so it is a table of nftables in every backend. Values can be compared: NewRouterCounters and WithRouters
// sort the lists.
type RouterCounters struct {
	Mask          Mask
	Uplinks       List[CountedUplink] // by their ids
	Routers       List[CountedRouter] // by the ids of their uplinks
	Found, Found6 netip.Prefix        // the next hops of routers that were found, in IPv4 and IPv6
}

// CountedUplink is an uplink whose replies are counted by router.
type CountedUplink struct {
	ID         ID
	Link       string
	Hop4, Hop6 netip.Addr // its next hop; invalid: it has none in that family
}

// Names of the table and of the objects in it. Those of a family are prefixed by NFTFamily.
const (
	RouterCountersName = NFTTable + "-routers"
	RouterCountersPost = "postrouting"
	RouterCountersHops = "hops" // a set: the next hops of all counted uplinks
	// RouterCountersPriority is that of the chains of replies: all of them only count, so that their order does not matter.
	RouterCountersPriority = -149
)

// NewRouterCounters returns the definition for the uplinks.
func NewRouterCounters(mask Mask, all []CountedUplink, found4, found6 netip.Prefix) RouterCounters {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b CountedUplink) int { return int(a.ID) - int(b.ID) })
	for i, u := range all {
		all[i].Hop6 = u.Hop6.WithZone("")
	}
	return RouterCounters{Mask: mask, Uplinks: NewList(all...), Found: found4, Found6: found6}
}

// Hop returns the next hop of a family.
func (u CountedUplink) Hop(ipv6 bool) netip.Addr {
	if ipv6 {
		return u.Hop6
	}
	return u.Hop4
}

// Chain returns the name of the chain that counts the replies of the uplink.
func (u CountedUplink) Chain() string { return fmt.Sprintf("uplink%d", u.ID) }

// FoundHops returns the next hops of a family that routers which were found have.
func (c RouterCounters) FoundHops(ipv6 bool) netip.Prefix {
	if ipv6 {
		return c.Found6
	}
	return c.Found
}

// Hops returns the next hops of a family, each once.
func (c RouterCounters) Hops(ipv6 bool) (all []netip.Addr) {
	for _, u := range c.Uplinks.Values() {
		if hop := u.Hop(ipv6); hop.IsValid() && !slices.Contains(all, hop) {
			all = append(all, hop)
		}
	}
	return all
}

// NFTDeleteRouterCounters is the command of nft(8) that deletes the table, without the word nft.
const NFTDeleteRouterCounters = "delete table inet " + RouterCountersName

// NFTCommand formats the commands of nft(8) that make the table, in place of one that exists, as one transaction, without the
// word nft.
func (c RouterCounters) NFTCommand() string {
	of := func(kind, name string) string { return "add " + kind + " inet " + RouterCountersName + " " + name }
	rule := func(chain, text string) string { return of("rule", chain) + " " + text }
	commands := []string{"add table inet " + RouterCountersName, NFTDeleteRouterCounters, "add table inet " + RouterCountersName}
	for _, ipv6 := range []bool{false, true} {
		var elements []string
		for _, hop := range c.Hops(ipv6) {
			elements = append(elements, hop.String())
		}
		set := of("set", nftPrefix(ipv6)+RouterCountersHops) + " { type " + map[bool]string{false: "ipv4_addr", true: "ipv6_addr"}[ipv6] + ";"
		if len(elements) > 0 {
			set += " elements = { " + strings.Join(elements, ", ") + " };"
		}
		commands = append(commands, set+" }")
	}
	commands = append(commands, of("chain", RouterCountersPost)+fmt.Sprintf(" { type filter hook postrouting priority %d; policy accept; }", RouterCountersPriority))
	for _, u := range c.Uplinks.Values() {
		commands = append(commands, of("chain", u.Chain()))
	}
	commands = append(commands, rule(RouterCountersPost, fmt.Sprintf("ct status & %#x != 0 return", ConnAssured)),
		rule(RouterCountersPost, "ct direction original return"), rule(RouterCountersPost, `oifname "lo" return`))
	for _, u := range c.Uplinks.Values() {
		for _, ipv6 := range []bool{false, true} {
			symmetric, stray := NFTCounters(u.ID, ipv6)
			commands = append(commands, of("counter", symmetric), of("counter", stray))
		}
		for _, text := range c.nftRules(u) {
			commands = append(commands, rule(u.Chain(), text))
		}
		commands = append(commands, rule(RouterCountersPost, fmt.Sprintf("ct mark & %s == %s goto %s", c.Mask, c.Mask.Mark(u.ID), u.Chain())))
	}
	return strings.Join(append(commands, c.nftRouterCommands(of)...), "; ")
}

// nftRules returns the rules of an uplink's chain. A reply by the uplink's own next hop is symmetric, one by another router of
// the link is stray, and any other by the link is symmetric too: a host on the link is its own next hop. What came in by the link is
// no stray by another one, see addReplyCounters.
func (c RouterCounters) nftRules(u CountedUplink) (rules []string) {
	out := fmt.Sprintf("oifname %q ", u.Link)
	for _, ipv6 := range []bool{false, true} {
		symmetric, stray := NFTCounters(u.ID, ipv6)
		family := "meta nfproto " + map[bool]string{false: "ipv4", true: "ipv6"}[ipv6] + " "
		hop := "rt " + NFTFamily(ipv6) + " nexthop "
		if own := u.Hop(ipv6); own.IsValid() {
			rules = append(rules, family+out+hop+own.String()+" counter name "+symmetric+" return")
		}
		rules = append(rules, family+out+hop+"@"+nftPrefix(ipv6)+RouterCountersHops+" counter name "+stray+" return",
			family+out+hop+c.FoundHops(ipv6).String()+" counter name "+stray+" return",
			family+out+"counter name "+symmetric+" return",
			fmt.Sprintf("%siifname != %q counter name %s return", family, u.Link, stray))
	}
	return rules
}
