package uplinks

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// While a family is translated, each link of an uplink has a filter at egress, a BPF program that no command for the firewall reaches:
// what no rule has translated, although its source is inside, does not leave by it, nor what has the address of another uplink and no
// mark that leads there. Packets with any mark pass. It drops nothing as long as the chains are whole, but what connection tracking
// calls invalid, and is there when another program has flushed them.

// EgressFilter is the filter of a link. One that another program has damaged has no networks. Both lists are sorted, for Equal.
type EgressFilter struct {
	Index int // of the link
	Link  string
	Drop  []netip.Prefix // source networks
	Pass  []netip.Prefix // networks in those whose packets pass
}

// Equal reports whether the filters do the same at the same link.
func (e EgressFilter) Equal(other EgressFilter) bool {
	return e.Index == other.Index && e.Link == other.Link && slices.Equal(e.Drop, other.Drop) && slices.Equal(e.Pass, other.Pass)
}

// EgressFilters returns the filters of the settings, with those of uplinks that are left out too.
func (s Settings) EgressFilters(f Facts) (all []EgressFilter) {
	s = s.ResolveLinks(f)
	if !s.Outbound.Enabled() {
		return nil
	}
	drop, pass := map[string][]netip.Prefix{}, map[string][]netip.Prefix{}
	for _, family := range s.outboundFamilies(f) {
		o := outbound{s, f, nil, family, nil}
		inside := o.networksInside()
		for _, link := range o.filteredLinks(inside) {
			d, p := o.untranslated(link, inside)
			drop[link], pass[link] = append(drop[link], d...), append(pass[link], p...)
		}
	}
	for link, networks := range drop {
		if len(networks) > 0 {
			all = append(all, EgressFilter{f.Links[link].Index, link, sortedPrefixes(networks), sortedPrefixes(pass[link])})
		}
	}
	return all
}

// networksInside returns the networks of the family that main routes by links that are no uplinks and that packets can come in by, by
// link.
func (o outbound) networksInside() map[string][]netip.Prefix {
	all := map[string][]netip.Prefix{}
	for name, p := range o.facts.routedNetworks() {
		l, exists := o.facts.Links[name]
		a := p.Addr()
		if exists && !l.Isolated && l.VRF == 0 && o.uplinksOn(name) == 0 && FamilyOf(a) == o.family && !IsDefaultRoute(p) &&
			!a.IsLinkLocalUnicast() && !a.IsMulticast() && !a.IsLoopback() {
			all[name] = append(all[name], p)
		}
	}
	return all
}

// filteredLinks returns the links of the family's uplinks that can have a filter, each once. On a link in a flow table packets that
// came in by it are answered without a mark. A link without a VLAN tag of its own on the link, with a network inside, has its packets
// leave by the link.
func (o outbound) filteredLinks(inside map[string][]netip.Prefix) (all []string) {
	if !o.Outbound.Masquerade.In(o.family) {
		return nil
	}
	table, _, accelerated := o.FlowTable(o.facts)
	for _, u := range o.managed() {
		l, exists := o.facts.LinkOf(u)
		inFlowTable := o.facts.FlowTables[u.Link] != "" || accelerated && o.facts.FlowRefused == "" && slices.Contains(table.Links(), u.Link)
		if u.named() && exists && !inFlowTable && !slices.Contains(all, u.Link) && !o.facts.carries(l, inside) {
			all = append(all, u.Link)
		}
	}
	return all
}

// untaggedKinds are the kinds of links whose packets leave by the link below as they are.
var untaggedKinds = []string{"macvlan", "macvtap", "ipvlan", "ipvtap"}

// carries reports whether the packets of a link with networks inside leave by the link as they are.
func (f Facts) carries(l Link, inside map[string][]netip.Prefix) bool {
	for name := range inside {
		if above := f.Links[name]; above.Lower == l.Index && slices.Contains(untaggedKinds, above.Kind) {
			return true
		}
	}
	return false
}

// untranslated returns the sources that must not leave by the link: the networks inside and the addresses of other uplinks, without those
// that the provider of an uplink on the link takes, and any of UplinkPrefixes. What is in one of these passes.
func (o outbound) untranslated(link string, inside map[string][]netip.Prefix) (drop, pass []netip.Prefix) {
	var taken []netip.Prefix
	for _, u := range o.Uplinks {
		for _, p := range o.ownNetworks(u) {
			if u.Link == link || slices.Contains(o.PrefixesOf(u.Name, o.facts), p) {
				taken = append(taken, p)
			}
		}
	}
	for _, networks := range inside {
		drop = append(drop, networks...)
	}
	drop = append(drop, o.othersAddrs(link)...)
	drop = widest(slices.DeleteFunc(drop, func(p netip.Prefix) bool { return isWithin(p, taken) }))
	return drop, widest(slices.DeleteFunc(taken, func(p netip.Prefix) bool { return !isWithin(p, drop) }))
}

// othersAddrs returns the addresses of the uplinks on other links, unless their packets leave by the link as they are.
func (o outbound) othersAddrs(link string) (all []netip.Prefix) {
	for _, u := range o.managed() {
		other, exists := o.facts.LinkOf(u)
		if !exists || u.Link == link || other.Lower == o.facts.Links[link].Index && slices.Contains(untaggedKinds, other.Kind) {
			continue
		}
		for _, a := range other.sourceRuleAddrs() {
			if FamilyOf(a) == o.family {
				all = append(all, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	return all
}

// isWithin reports whether the prefix is one of the others, or a part of one.
func isWithin(p netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
}

// widest returns the prefixes in order, each once, without those that are parts of others.
func widest(all []netip.Prefix) (kept []netip.Prefix) {
	for _, p := range sortedPrefixes(all) { // one follows those that it is a part of
		if !isWithin(p, kept) {
			kept = append(kept, p)
		}
	}
	return kept
}

// NewEgressFilter returns a filter that the link with the index has.
func NewEgressFilter(f Facts, index int, drop, pass []netip.Prefix) EgressFilter {
	name, _ := f.LinkName(index)
	return EgressFilter{index, name, sortedPrefixes(drop), sortedPrefixes(pass)}
}

// narrowed returns a filter that drops nothing but what both drop.
func (e EgressFilter) narrowed(other EgressFilter) EgressFilter {
	e.Link = other.Link
	e.Pass = slices.Concat(e.Pass, other.Pass)
	e.Drop = slices.DeleteFunc(slices.Clone(e.Drop), func(p netip.Prefix) bool { return !slices.Contains(other.Drop, p) })
	e.Pass = sortedPrefixes(slices.DeleteFunc(e.Pass, func(p netip.Prefix) bool { return !isWithin(p, e.Drop) }))
	return e
}

// addEgressFilters adds the filters.
func addEgressFilters(want State, s Settings, f Facts) {
	for _, e := range withoutRefused(s.EgressFilters(f), f.EgressFilterRefused, func(e EgressFilter) int { return e.Index }) {
		want.EgressFilters[e.Index] = e
	}
}

// egressFilterSteps returns the steps for the filters. What is no longer dropped passes before any chain changes; what is dropped from
// now on is when the chains are there that translate it.
func egressFilterSteps(want, have State) (relax, set Plan) {
	missing := differing(want.EgressFilters, have.EgressFilters, compareEgressFilters)
	gone := differing(have.EgressFilters, want.EgressFilters, compareEgressFilters)
	done := map[int]bool{}
	for _, old := range gone {
		i := slices.IndexFunc(missing, func(e EgressFilter) bool { return e.Index == old.Index })
		if i < 0 {
			relax = append(relax, DelEgressFilter{Filter: old})
			continue
		}
		if len(old.Drop) == 0 { // what it drops is not known
			continue
		}
		both := old.narrowed(missing[i])
		switch {
		case len(both.Drop) == 0:
			relax = append(relax, DelEgressFilter{Filter: old})
		case both.Equal(missing[i]):
			done[old.Index] = true
			relax = append(relax, SetEgressFilter{Filter: both})
		case !slices.Equal(both.Drop, old.Drop) || !slices.Equal(both.Pass, old.Pass):
			relax = append(relax, SetEgressFilter{Filter: both})
		}
	}
	for _, e := range missing {
		if !done[e.Index] && len(e.Drop) > 0 { // to what was damaged before no change goes back
			set = append(set, SetEgressFilter{Filter: e})
		}
	}
	return relax, set
}

func compareEgressFilters(a, b EgressFilter) int {
	return cmp.Or(strings.Compare(a.Link, b.Link), cmp.Compare(a.Index, b.Index))
}
