package routercounters

import (
	"slices"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// table is the table of nftables.
const table = nftnl.Table(marks.RouterCountersName)

// word is the first register of all values.
const word = 0

// directionOriginal is IP_CT_DIR_ORIGINAL.
const directionOriginal = 0

// families has IPv4 and IPv6.
var families = [...]bool{false, true}

// hopSet returns the set with the next hops of a family.
func hopSet(ipv6 bool) nftnl.Set {
	if ipv6 {
		return nftnl.Set{Name: "ip6-" + marks.RouterCountersHops, ID: 2, KeyType: nftnl.TypeAddress6, KeyLength: 16}
	}
	return nftnl.Set{Name: "ip-" + marks.RouterCountersHops, ID: 1, KeyType: nftnl.TypeAddress4, KeyLength: 4}
}

// create returns the requests that make the table of the definition.
func create(c marks.RouterCounters) []nftnl.Request {
	requests := []nftnl.Request{table.Create(0)}
	for _, ipv6 := range families {
		requests = append(requests, table.CreateSet(hopSet(ipv6)))
		var keys [][]byte
		for _, hop := range c.Hops(ipv6) {
			keys = append(keys, nftnl.Key(hop.AsSlice()))
		}
		if len(keys) > 0 {
			requests = append(requests, table.AddElements(hopSet(ipv6), keys...))
		}
		for _, u := range c.Uplinks.Values() {
			symmetric, stray := marks.NFTCounters(u.ID, ipv6)
			requests = append(requests, table.CreateCounter(symmetric), table.CreateCounter(stray))
		}
	}
	requests = append(requests, table.CreateBaseChain(marks.RouterCountersPost, "filter", unix.NF_INET_POST_ROUTING, marks.RouterCountersPriority))
	for _, u := range c.Uplinks.Values() {
		requests = append(requests, table.CreateChain(u.Chain()))
	}
	requests = append(requests, createRequests(c)...)
	for chain, rules := range chainRules(c) {
		for _, r := range rules {
			requests = append(requests, table.AddRule(chain, r...))
		}
	}
	return requests
}

// chainRules returns the rules of all chains. Those are in the order in which marks.RouterCounters.NFTCommand has them.
func chainRules(c marks.RouterCounters) map[string][][][]byte {
	post := [][][]byte{
		{nftnl.Ct(unix.NFT_CT_STATUS, word), nftnl.MaskMark(word, marks.ConnAssured, 0), nftnl.CompareMark(word, unix.NFT_CMP_NEQ, 0), nftnl.Return()},
		{nftnl.Ct(unix.NFT_CT_DIRECTION, word), nftnl.Equals(word, []byte{directionOriginal}), nftnl.Return()},
		{nftnl.Meta(unix.NFT_META_OIFNAME, word), nftnl.Equals(word, nftnl.LinkName("lo")), nftnl.Return()},
	}
	all := map[string][][][]byte{}
	for _, u := range c.Uplinks.Values() {
		all[u.Chain()] = uplinkRules(c, u)
		post = append(post, [][]byte{nftnl.Ct(unix.NFT_CT_MARK, word), nftnl.MaskMark(word, uint32(c.Mask), 0),
			nftnl.CompareMark(word, unix.NFT_CMP_EQ, uint32(c.Mask.Mark(u.ID))), nftnl.Goto(u.Chain())})
	}
	all[marks.RouterCountersPost] = post
	if routers := c.Routers.Values(); len(routers) > 0 {
		all[marks.RouterCountersPre] = requestRules(routers)
	}
	return all
}

// uplinkRules returns the rules of an uplink's chain.
func uplinkRules(c marks.RouterCounters, u marks.CountedUplink) (rules [][][]byte) {
	for _, ipv6 := range families {
		symmetric, stray := marks.NFTCounters(u.ID, ipv6)
		family := [][]byte{nftnl.Meta(unix.NFT_META_NFPROTO, word), nftnl.Equals(word, []byte{nftnl.FamilyNumber(ipv6)})}
		out := slices.Concat(family, [][]byte{nftnl.Meta(unix.NFT_META_OIFNAME, word), nftnl.Equals(word, nftnl.LinkName(u.Link))})
		add := func(to string, match ...[]byte) {
			rules = append(rules, slices.Concat(match, [][]byte{nftnl.CountIn(to), nftnl.Return()}))
		}
		byHop := func(to string, match ...[]byte) {
			add(to, slices.Concat(out, [][]byte{nftnl.Rt(nextHop(ipv6), word)}, match)...)
		}
		if own := u.Hop(ipv6); own.IsValid() {
			byHop(symmetric, nftnl.Equals(word, own.AsSlice()))
		}
		byHop(stray, nftnl.InSet(hopSet(ipv6), word))
		found := c.FoundHops(ipv6)
		byHop(stray, nftnl.Equals(word, found.Masked().Addr().AsSlice()[:found.Bits()/8])) // a network of whole bytes
		add(symmetric, out...)
		add(stray, slices.Concat(family, [][]byte{nftnl.Meta(unix.NFT_META_IIFNAME, word), nftnl.Compare(word, unix.NFT_CMP_NEQ, nftnl.LinkName(u.Link))})...)
	}
	return rules
}

// nextHop returns the key of the next hop of a family's route.
func nextHop(ipv6 bool) uint32 {
	if ipv6 {
		return unix.NFT_RT_NEXTHOP6
	}
	return unix.NFT_RT_NEXTHOP4
}
