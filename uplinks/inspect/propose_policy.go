package inspect

import (
	"slices"

	"replypath/uplinks"
)

// ProposedPolicy is the name of the policy that Propose proposes.
const ProposedPolicy = "internet"

// proposedPolicy returns a policy for a host whose main has default routes by several uplinks, as main prefers them: those with
// the same metric share a tier. It returns false where main has one way.
func proposedPolicy(s uplinks.Settings, f uplinks.Facts) (uplinks.Policy, bool) {
	p := uplinks.Policy{Name: uniqueName(s.Uplinks, ProposedPolicy), LastResort: uplinks.LastMain, MoveFailed: true}
	last, ways := uint64(0), 0
	for _, u := range s.Uplinks {
		l := f.Links[u.Link]
		if !slices.ContainsFunc(l.Defaults, func(hop uplinks.NextHop) bool { return hop.Table == uplinks.MainTable }) {
			continue
		}
		if metric := bestMetric(l); p.Tiers == nil || metric != last {
			p.Tiers, last = append(p.Tiers, nil), metric
		}
		tier := &p.Tiers[len(p.Tiers)-1]
		*tier = append(*tier, uplinks.Member{Uplink: u.Name, Weight: 1})
		ways++
	}
	return p, ways > 1
}
