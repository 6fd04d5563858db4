package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// addRules adds the rules of the family. What has the mark of an uplink is a reply or belongs to a connection that has its
// uplink; it leaves the block. Then come main's specific routes, also those by an uplink and the halves of a default route by
// which VPN clients take everything; sources that only one provider takes; and what the host itself binds to a device. The rest
// is for the rules of the configuration and the default policy.
func (o outbound) addRules(want State) {
	add := func(offset Priority, action Action, change func(*Rule)) {
		r := newRule(o.family, outboundPriority+offset, action)
		if change != nil {
			change(&r)
		}
		want.Rules[r] = true
	}
	leave := func(r *Rule) { r.Goto = outboundPriority + outboundEnd }
	if o.Outbound.sticky() {
		first := o.Mask.Mark(o.FirstBucket())
		add(outboundBuckets, Goto, func(r *Rule) { r.Mark, r.Mask, r.Goto = first, marks.Mask(first), outboundPriority+outboundMain })
	}
	add(outboundMarked, Goto, func(r *Rule) { leave(r); r.Not, r.Mask = true, o.Mask })
	add(outboundMain, Lookup, func(r *Rule) { r.Table, r.SuppressLength = MainTable, 0 })
	for _, u := range o.managed() {
		for _, p := range o.PrefixesOf(u.Name, o.facts) {
			if FamilyOf(p.Addr()) == o.family {
				add(outboundPrefixes, Lookup, func(r *Rule) { r.From, r.Table = p, o.Table(u) })
			}
		}
		if u.named() {
			add(outboundDevices+Priority(u.ID), Lookup, func(r *Rule) { r.OIF, r.Table = u.Link, o.Table(u) })
		}
	}
	add(outboundDevices, Goto, func(r *Rule) { r.Not, r.IIF, r.Goto = true, "lo", outboundPriority+outboundSteering })
	add(outboundSteering, Nop, nil)
	for k, rule := range o.Outbound.Rules {
		o.addSteering(add, outboundSteering+1+Priority(k), rule)
	}
	add(outboundDefault, Goto, o.use(o.Outbound.Default))
	for _, p := range o.Outbound.Policies {
		o.addPolicy(add, p)
	}
	add(outboundEnd, Nop, nil)
}

// policyPriority returns the offset of the policy's rules.
func (o outbound) policyPriority(name string) Priority {
	return outboundPolicies + Priority(o.slot[name])*outboundStride
}

// use returns what sets the target of a goto to a policy, or to the end of the block: to main.
func (o outbound) use(name string) func(*Rule) {
	target := outboundPriority + outboundEnd
	if _, is := o.Outbound.Policy(name); is {
		target = outboundPriority + o.policyFirst(name)
	}
	return func(r *Rule) { r.Goto = target }
}

// policyFirst returns the offset of the first rule of the policy that always exists.
func (o outbound) policyFirst(name string) Priority {
	at := o.policyPriority(name)
	if p, _ := o.Outbound.Policy(name); p.StickyClient {
		return at
	}
	return at + policyLookup
}

// addPolicy adds the rules of one policy: the look-ups by the senders' buckets, that of the policy's table, and a goto out.
func (o outbound) addPolicy(add ruleAdder, p Policy) {
	at := o.policyPriority(p.Name)
	if p.StickyClient {
		add(at, Nop, nil)
		o.addBuckets(add, at+policyBuckets, p)
	}
	add(at+policyLookup, Lookup, func(r *Rule) { r.Table = o.PolicyTable(p.Name) })
	add(at+policyEnd, Goto, func(r *Rule) { r.Goto = outboundPriority + outboundEnd })
}

// addSteering adds the rules of the family for one rule of the configuration: one for each pair of networks.
func (o outbound) addSteering(add ruleAdder, at Priority, c Steering) {
	if c.IPVersion != 0 && Family(c.IPVersion) != o.family {
		return
	}
	for _, from := range o.networks(c.From) {
		for _, to := range o.networks(c.To) {
			action := Goto
			if refusal, refuses := LastResort(c.Use).routeType(); refuses {
				action = Action(refusal)
			}
			add(at, action, func(r *Rule) {
				r.Not, r.IIF, r.Mark, r.Mask, r.Selectors = c.Not, c.IIF, c.Mark, c.Mask, c.Selectors
				r.From, r.To = from, to
				if action == Goto {
					o.use(c.Use)(r)
				}
			})
		}
	}
}

// networks returns the prefixes of the family; one that is not valid, for all networks, if the list is empty.
func (o outbound) networks(all []netip.Prefix) (some []netip.Prefix) {
	if len(all) == 0 {
		return []netip.Prefix{{}}
	}
	for _, p := range all {
		if FamilyOf(p.Addr()) == o.family {
			some = append(some, p)
		}
	}
	return some
}

// addBuckets assigns the senders' buckets to the uplinks that the policy uses, in proportion to their weights. A bucket keeps its
// uplink as long as that is used, so that no other sender moves when an uplink fails.
func (o outbound) addBuckets(add ruleAdder, at Priority, p Policy) {
	for bucket, name := range o.assignBuckets(p) {
		if u, known := o.uplink(name); known {
			add(at+Priority(bucket), Lookup, func(r *Rule) {
				r.Mark, r.Mask, r.Table = o.Mask.Mark(o.FirstBucket()+marks.ID(bucket)), o.Mask, o.Table(u)
			})
		}
	}
}

// assignBuckets returns the uplink of each bucket: first as if every member of the tier in use were usable, then those of the
// others are dealt to the members in use that have the fewest for their weight.
func (o outbound) assignBuckets(p Policy) (owner [SenderBuckets]string) {
	choice := o.Choose(p, o.facts, o.verdicts, o.family)
	if choice.Tier < 0 {
		return owner
	}
	count := map[string]int{}
	deal := func(bucket int, members []Member) {
		best := members[0]
		for _, m := range members[1:] {
			if (count[m.Uplink]+1)*best.Weight < (count[best.Uplink]+1)*m.Weight {
				best = m
			}
		}
		count[best.Uplink]++
		owner[bucket] = best.Uplink
	}
	for bucket := range owner {
		deal(bucket, p.Tiers[choice.Tier])
	}
	for _, m := range p.Tiers[choice.Tier] {
		if !choice.Uses(m.Uplink) {
			delete(count, m.Uplink)
		}
	}
	for bucket, name := range owner {
		if !choice.Uses(name) {
			deal(bucket, choice.Members)
		}
	}
	return owner
}

// isOutbound reports whether the rule is in the block of outbound connections.
func (r *Rule) isOutbound() bool {
	return r.Priority >= outboundPriority && r.Priority < outboundPriority+outboundPriorities
}

// splitOutboundRules separates the rules of outbound connections, which may be added only when the chains are loaded.
func splitOutboundRules(steps Plan) (others, own Plan) {
	i := slices.IndexFunc(steps, func(s Step) bool { return isOutboundStep(s) })
	if i < 0 {
		return steps, nil
	}
	for _, s := range steps {
		if isOutboundStep(s) {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	return others, own
}

func isOutboundStep(s Step) bool {
	switch s := s.(type) {
	case AddRule:
		return s.Rule.isOutbound()
	case DelRule:
		return s.Rule.isOutbound()
	}
	return false
}
