package uplinks

import (
	"fmt"
	"net/netip"
	"slices"
)

// Inspection is the findings of a host, by what they are of.
type Inspection struct {
	host      []Finding   // both families and backends
	uplinks   [][]Finding // of each in the settings
	routers   []Finding   // routers that are no uplink's gateway
	conflicts []Finding   // rules of other programs
	hostAddrs map[netip.Addr]bool
}

// Inspect compares what the operator asked for with what the host is like.
func Inspect(s Settings, f Facts) Inspection {
	if len(s.Uplinks) == 0 {
		return Inspection{host: missingOriginals(f)}
	}
	i := Inspection{host: inspectHost(f), uplinks: make([][]Finding, len(s.Uplinks)), routers: inspectRouters(s, f), conflicts: ruleConflicts(s, f), hostAddrs: f.hostAddrs()}
	for n, u := range s.Uplinks {
		i.uplinks[n] = u.findings(f, i.hostAddrs)
	}
	return i
}

// Update is the inspection of a host of which some shares have been looked at since: the facts are those of the whole. The
// host's own addresses are as they were, or more than the shares would have moved.
func (i Inspection) Update(s Settings, f Facts, scopes []Scope) Inspection {
	i.uplinks = slices.Clone(i.uplinks)
	for n, u := range s.Uplinks {
		if slices.Contains(scopes, s.scopeOf(u)) {
			i.uplinks[n] = u.findings(f, i.hostAddrs)
		}
	}
	if slices.ContainsFunc(scopes, func(s Scope) bool { return s.Link != "" }) {
		i.routers = inspectRouters(s, f)
	}
	return i
}

// Findings are all, in the order of the settings.
func (i Inspection) Findings() []Finding {
	return slices.Concat(i.host, slices.Concat(i.uplinks...), i.routers, i.conflicts)
}

// inspectHost is what is found of no link in particular.
func inspectHost(f Facts) (all []Finding) {
	if f.MixedBackends {
		all = append(all, Finding{
			What:   fmt.Sprintf("both iptables backends hold rules of other programs; ours go to %s", f.Tools[IPv4].Backend),
			Remedy: `move the others to one backend, or choose with backend = "nft" or "legacy"`,
		})
	}
	for _, family := range Families {
		if f.UnreachableDefault[family] {
			all = append(all, Finding{
				What:   fmt.Sprintf("main has an unreachable, blackhole or prohibit default route for %s: where it has no better one it refuses replies before any uplink is asked", family),
				Remedy: "move that route to the table default, which is asked last: " + family.ipCommand() + " route add unreachable default table default, then delete it from main",
			})
		}
	}
	return all
}

// hostAddrs are the addresses of the host that no other host may have as well.
func (f Facts) hostAddrs() map[netip.Addr]bool {
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
