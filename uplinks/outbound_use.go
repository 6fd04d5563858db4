package uplinks

// PolicyUse is what a policy uses in one family.
type PolicyUse struct {
	Policy  string
	Family  Family
	Tier    int // from 0; -1: no uplink is usable
	Members []MemberUse
}

// MemberUse is the part that an uplink has in a policy.
type MemberUse struct {
	Uplink string
	Tier   int // from 0
	Weight int
	State  MemberState
	Share  float64 // of new connections, from 0 to 1
}

// PolicyUses returns what each policy uses in each family in which policies choose, in the order of their names.
func (s Settings) PolicyUses(f Facts, v Verdicts) (all []PolicyUse) {
	if !s.Outbound.Enabled() {
		return nil
	}
	for _, p := range s.Outbound.Policies {
		for _, family := range s.outboundFamilies(f) {
			all = append(all, outbound{Settings: s, facts: f, verdicts: v, family: family}.policyUse(p))
		}
	}
	return all
}

// policyUse returns what the policy uses in the family.
func (o outbound) policyUse(p Policy) PolicyUse {
	choice := o.Choose(p, o.facts, o.verdicts, o.family)
	share := o.shares(p, choice)
	all := PolicyUse{Policy: p.Name, Family: o.family, Tier: choice.Tier}
	for tier, members := range p.Tiers {
		for _, m := range members {
			use := MemberUse{Uplink: m.Uplink, Tier: tier, Weight: m.Weight, State: o.memberState(m.Uplink, o.facts, o.verdicts, o.family)}
			if tier == choice.Tier {
				use.Share = share[m.Uplink]
			}
			all.Members = append(all.Members, use)
		}
	}
	return all
}

// shares returns the share of each uplink in new connections: by the weights, or by the senders' buckets.
func (o outbound) shares(p Policy, c Choice) map[string]float64 {
	count, total := map[string]int{}, 0
	if p.StickyClient {
		for _, uplink := range o.assignBuckets(p) {
			if uplink != "" {
				count[uplink]++
				total++
			}
		}
	} else {
		for _, m := range c.Members {
			count[m.Uplink] += m.Weight
			total += m.Weight
		}
	}
	share := map[string]float64{}
	for uplink, n := range count {
		share[uplink] = float64(n) / float64(total)
	}
	return share
}
