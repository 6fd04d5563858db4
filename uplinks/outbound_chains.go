package uplinks

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Pinned are the connections that a chain would have given a mark, had it been there when they began: their replies are
// addressed to To, an address of an uplink, so they were sent by it, and they have no mark.
type Pinned struct {
	To      netip.Addr
	Mark    marks.Mark
	Mask    marks.Mask // of Mark
	Unowned marks.Mask // the bits that are 0 in connections without a mark
}

// command returns the conntrack(8) command that does nearly the same: it also changes the marks of connections that have one.
func (p Pinned) command() string {
	return fmt.Sprintf("conntrack -U -f %s --reply-dst %s --mark %s/%s", map[bool]string{true: "ipv4", false: "ipv6"}[p.To.Is4()], p.To, p.Mark, p.Mask)
}

// Untranslated are the connections of a family that begin inside, have a source that no uplink's provider takes, which nothing
// translates, and had no reply: there was no address translation when they began. Those with a mark have the flag.
type Untranslated struct {
	Family Family
	Mask   marks.Mask
	Flag   marks.Mask
	Fixed  []netip.Prefix // sources that a provider takes
}

// Has reports whether a connection from the sender with the mark, without a reply and without a translated source, is one of them.
func (u Untranslated) Has(from netip.Addr, mark marks.Mark) bool {
	pinned, unmarked := mark&marks.Mark(u.Flag) != 0, mark&marks.Mark(u.Mask) == 0
	return (pinned || unmarked) && !from.IsLinkLocalUnicast() && !from.IsLoopback() &&
		!slices.ContainsFunc(u.Fixed, func(p netip.Prefix) bool { return p.Contains(from) })
}

// addChains adds the chains of the family that pin connections to the uplink that they begin by.
func (o outbound) addChains(want State) {
	firewall := o.facts.Firewalls[o.family]
	chains := marks.Outbound{Mask: o.Mask, Flag: o.OutboundFlag(), Group: uint32(o.Group), Masquerade: o.Outbound.Masquerade.In(o.family), IPsec: o.facts.IPsec[o.family]}
	if o.Outbound.sticky() {
		chains.HashBits = o.family == IPv6 && firewall.Backend != marks.Nftables
		for n := range marks.ID(SenderBuckets) {
			chains.Buckets = append(chains.Buckets, o.Mask.Mark(o.FirstBucket()+n))
		}
	}
	chains.Egress = o.egress()
	for _, u := range o.managed() {
		if !u.named() {
			continue
		}
		l, _ := o.facts.LinkOf(u)
		for _, a := range l.Addrs {
			if FamilyOf(a.Prefix.Addr()) == o.family && !a.LinkLocal {
				want.Pinned[firewall] = append(want.Pinned[firewall], Pinned{a.Prefix.Addr(), o.Mark(u) | marks.Mark(chains.Flag), o.Mask | chains.Flag, o.Mask})
			}
		}
	}
	if chains.Masquerade {
		u := Untranslated{Family: o.family, Mask: o.Mask, Flag: chains.Flag}
		for _, e := range chains.Egress {
			u.Fixed = append(u.Fixed, e.Sources...)
		}
		want.Untranslated[firewall] = u
	}
	for _, c := range chains.Layout(firewall.Backend) {
		want.Chains[ChainKey{firewall, c.Name}] = marks.ChainRules{Rules: c.Rules}
	}
	for _, h := range chains.Hooks() {
		want.Hooks[HookKey{firewall, h}] = hookInPlace
	}
}

// egress returns the links of the uplinks, with the sources that are not translated.
func (o outbound) egress() (all []marks.Egress) {
	for _, u := range o.managed() {
		if u.named() {
			all = append(all, marks.Egress{Link: u.Link, Mark: o.Mark(u), Sources: o.ownNetworks(u)})
		}
	}
	return all
}

// ownNetworks returns the networks of the family whose packets the uplink's provider takes.
func (o outbound) ownNetworks(u Uplink) (all []netip.Prefix) {
	l, _ := o.facts.LinkOf(u)
	for _, a := range l.Addrs {
		if FamilyOf(a.Prefix.Addr()) == o.family && !a.LinkLocal && a.Prefix.Bits() > 0 {
			all = append(all, a.Prefix.Masked())
		}
	}
	for _, p := range o.PrefixesOf(u.Name, o.facts) {
		if FamilyOf(p.Addr()) == o.family {
			all = append(all, p)
		}
	}
	return sortedPrefixes(all)
}
