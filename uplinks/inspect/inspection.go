package inspect

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// Inspection holds the findings of a host by subject, so that a partial observation renews only the affected part.
type Inspection struct {
	host      []Finding   // address families and firewall backends
	uplinks   [][]Finding // one element for each uplink of the settings
	routers   []Finding   // routers that are not an uplink's gateway
	conflicts []Finding   // ip rules of other programs
	networks  []Finding   // links in the networks of uplinks
	hostAddrs map[netip.Addr]bool
	shared    []sharedNetwork
}

// Inspect compares a configuration with the facts of the whole host. Settings without uplinks yield only the originals
// that flush cannot restore.
func Inspect(s uplinks.Settings, f uplinks.Facts) Inspection {
	if len(s.Uplinks) == 0 {
		return Inspection{host: missingOriginals(f)}
	}
	s = s.ResolveLinks(f)
	i := Inspection{host: slices.Concat(inspectHost(f), unassignedPrefixes(s, f), inspectProxies(s, f), inspectAcceleration(s, f)), uplinks: make([][]Finding, len(s.Uplinks)), routers: inspectRouters(s, f),
		conflicts: ruleConflicts(s, f), hostAddrs: hostAddrs(f), shared: sharedNetworks(s, f)}
	i.networks = inspectSharedNetworks(i.shared, s, f)
	for n, u := range s.Uplinks {
		i.uplinks[n] = inspectUplink(s, u, f, i.hostAddrs)
	}
	return i
}

// Update returns the inspection after a partial observation of the scopes; f has the facts of the whole host. The
// host's addresses are unchanged: a change to them needs a full resync (uplinks.Facts.NeedsFullResync).
func (i Inspection) Update(s uplinks.Settings, f uplinks.Facts, scopes []uplinks.Scope) Inspection {
	i.uplinks = slices.Clone(i.uplinks)
	for n, u := range s.Uplinks {
		if slices.Contains(scopes, s.ScopeOf(u)) {
			i.uplinks[n] = inspectUplink(s, u, f, i.hostAddrs)
		}
	}
	if slices.ContainsFunc(scopes, func(s uplinks.Scope) bool { return s.Link != "" }) {
		i.routers, i.networks = inspectRouters(s, f), inspectSharedNetworks(i.shared, s, f)
	}
	return i
}

// Findings returns all findings: the host's, each uplink's in the order of the settings, routers, links in
// the networks of uplinks, conflicting rules.
func (i Inspection) Findings() []Finding {
	return slices.Concat(i.host, slices.Concat(i.uplinks...), i.routers, i.networks, i.conflicts)
}

// inspectHost returns the findings that belong to no link.
func inspectHost(f uplinks.Facts) (all []Finding) {
	if f.MixedBackends {
		all = append(all, Finding{
			What:   fmt.Sprintf("both iptables backends hold rules of other programs; replypath uses %s", f.Firewalls[uplinks.IPv4].Backend),
			Remedy: `move the other rules to one backend, or choose with backend = "nft" or "legacy"`,
		})
	}
	if f.UDPRefused != "" {
		all = append(all, Finding{What: `answer = "asked" of [udp] has no effect: ` + firstSentence(f.UDPRefused), Remedy: udpRemedy})
	}
	all = append(all, inspectPrograms(f, f.EgressFilterRefused, "packets from inside that no rule translates can leave by ", egressFilterRemedy)...)
	all = append(all, inspectPrograms(f, f.RouterClassifierRefused, "connections by a router whose hardware address changes are put right only when the rules follow, on ", classifierRemedy)...)
	if f.Unprotected != "" {
		all = append(all, Finding{What: "protect = true has no effect: " + f.Unprotected, Remedy: `set backend = "nftables" on Linux 6.9 or later, or remove the key`})
	}
	for _, family := range uplinks.Families {
		if f.UnreachableDefault[family] {
			all = append(all, Finding{
				What:   fmt.Sprintf("main has an unreachable, blackhole or prohibit default route for %s: without a better default route it refuses replies before the uplinks' tables are looked up", family),
				Remedy: "move that route to the table default, which is looked up last: " + family.IPCommand() + " route add unreachable default table default, then delete it from main",
			})
		}
	}
	return all
}

// hostAddrs returns the host's addresses, without link-local ones, which other hosts may have too.
func hostAddrs(f uplinks.Facts) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for _, l := range f.Links {
		for _, a := range l.Addrs {
			if ip := a.Prefix.Addr(); !ip.IsLinkLocalUnicast() {
				all[ip] = true
			}
		}
	}
	return all
}

// missingOriginals returns the links in the link group of the uplinks without a saved original: flush restores saved
// values only.
func missingOriginals(f uplinks.Facts) (all []Finding) {
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		group := uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}
		if _, saved := f.Originals[group]; saved || f.Links[name].Group != uplinks.DefaultGroup {
			continue
		}
		srcValidMark := uplinks.Tunable{Link: name, Name: uplinks.SrcValidMark}
		all = append(all, Finding{
			What: fmt.Sprintf("%s is in the link group %d of the uplinks and its original group is not saved: the group stays", name, uplinks.DefaultGroup),
			Remedy: fmt.Sprintf("%s; %s; and check %s, %s and %s", uplinks.SetTunable{Tunable: group, Value: "0"},
				uplinks.SetTunable{Tunable: srcValidMark, Value: "0"}, uplinks.FwmarkAccept, uplinks.Reflect4, uplinks.Reflect6),
		})
	}
	return all
}
