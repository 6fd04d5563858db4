package marks

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// RouterCounters is the definition of the table RouterCountersName of the family inet: it counts the first replies of uplinks that
// share a link by the router that they leave by, which the chains of replies cannot, as all leave by the same link. iptables has
// no match for the next hop, so it is a table of nftables in every backend. Values can be compared: NewRouterCounters sorts its
// list.
type RouterCounters struct {
	Mask          Mask
	Uplinks       string       // see List
	Routers       string       // see RouterList
	Found, Found6 netip.Prefix // the next hops of routers that were found, in IPv4 and IPv6
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
	slices.SortFunc(all, func(a, b CountedUplink) int { return int(a.ID) - int(b.ID) })
	lines := make([]string, len(all))
	for i, u := range all {
		lines[i] = fmt.Sprintf("%d %s %s %s", u.ID, u.Link, hopText(u.Hop4), hopText(u.Hop6))
	}
	return RouterCounters{Mask: mask, Uplinks: strings.Join(lines, "\n"), Found: found4, Found6: found6}
}

// hopText returns the address, or "-".
func hopText(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.WithZone("").String()
}

// List returns the uplinks whose replies are counted, in the order of their ids.
func (c RouterCounters) List() (all []CountedUplink) {
	for line := range strings.Lines(c.Uplinks) {
		words := strings.Fields(line)
		if len(words) != 4 {
			continue
		}
		id, _ := strconv.ParseUint(words[0], 10, 8)
		hop4, _ := netip.ParseAddr(words[2])
		hop6, _ := netip.ParseAddr(words[3])
		all = append(all, CountedUplink{ID(id), words[1], hop4, hop6})
	}
	return all
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
	for _, u := range c.List() {
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
	for _, u := range c.List() {
		commands = append(commands, of("chain", u.Chain()))
	}
	commands = append(commands, rule(RouterCountersPost, fmt.Sprintf("ct status & %#x != 0 return", ConnAssured)),
		rule(RouterCountersPost, "ct direction original return"), rule(RouterCountersPost, `oifname "lo" return`))
	for _, u := range c.List() {
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
