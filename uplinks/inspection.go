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
	strangers []Finding   // routers that are no uplink's gateway
	rivals    []Finding   // rules of other programs
	own       map[netip.Addr]bool
}

// Inspect compares what the operator asked for with what the host is like.
func Inspect(s Settings, f Facts) Inspection {
	if len(s.Uplinks) == 0 {
		return Inspection{host: lost(f)}
	}
	i := Inspection{host: general(f), uplinks: make([][]Finding, len(s.Uplinks)), strangers: byOtherWays(s, f), rivals: rivals(s, f), own: f.own()}
	for n, u := range s.Uplinks {
		i.uplinks[n] = u.findings(f, i.own)
	}
	return i
}

// Again is the inspection of a host of which some shares have been looked at since: the facts are those of the whole. The
// host's own addresses are as they were, or more than the shares would have moved.
func (i Inspection) Again(s Settings, f Facts, only []Share) Inspection {
	i.uplinks = slices.Clone(i.uplinks)
	for n, u := range s.Uplinks {
		if slices.Contains(only, s.share(u)) {
			i.uplinks[n] = u.findings(f, i.own)
		}
	}
	if slices.ContainsFunc(only, func(s Share) bool { return s.Link != "" }) {
		i.strangers = byOtherWays(s, f)
	}
	return i
}

// Findings are all, in the order of the settings.
func (i Inspection) Findings() []Finding {
	return slices.Concat(i.host, slices.Concat(i.uplinks...), i.strangers, i.rivals)
}

// general is what is found of no link in particular.
func general(f Facts) (all []Finding) {
	if f.Both {
		all = append(all, Finding{
			What:   fmt.Sprintf("both iptables backends hold rules of other programs; ours go to %s", f.Tools[IPv4].Backend),
			Remedy: `move the others to one backend, or choose with backend = "nft" or "legacy"`,
		})
	}
	for _, family := range Families {
		if f.Barred[family] {
			all = append(all, Finding{
				What:   fmt.Sprintf("main has an unreachable, blackhole or prohibit default route for %s: where it has no better one it refuses replies before any uplink is asked", family),
				Remedy: "move that route to the table default, which is asked last: " + family.ip() + " route add unreachable default table default, then delete it from main",
			})
		}
	}
	return all
}

// own are the addresses of the host that no other host may have as well.
func (f Facts) own() map[netip.Addr]bool {
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
