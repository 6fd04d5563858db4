package inspect

import (
	"replypath/marks"
	"replypath/uplinks"
)

// unsupportedRules returns the first rule of each address family that the configured backend nftables does not have.
func unsupportedRules(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	if s.Backend != marks.Nftables {
		return nil
	}
	f.Firewalls = map[uplinks.Family]uplinks.FirewallKey{}
	for _, family := range f.Families() {
		f.Firewalls[family] = uplinks.FirewallKey{Family: family, Backend: marks.Nftables}
	}
	want := uplinks.Desired(s, f, nil)
	reported := map[uplinks.Family]bool{}
	report := func(family uplinks.Family, r marks.Rule) {
		if err := r.CheckNFT(); err != nil && !reported[family] {
			reported[family] = true
			all = append(all, Finding{What: "the chains for " + family.String() + " cannot be loaded: " + err.Error(), Remedy: `set backend = "nft" or "legacy"`})
		}
	}
	for _, k := range want.SortedChains() {
		for _, r := range want.Chains[k].Rules {
			report(k.Firewall.Family, r)
		}
	}
	for k := range want.Hooks {
		report(k.Firewall.Family, k.Hook.Rule)
	}
	return all
}
