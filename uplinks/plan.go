package uplinks

import (
	"cmp"
	"slices"
	"strings"
)

// Plan lists the steps from the observed to the desired state, in order. An empty Plan means "in sync".
type Plan []Step

// String returns the shell commands of all steps, with a legend before the first added object that has one.
func (p Plan) String() string {
	legends := map[Kind]string{}
	for _, s := range p {
		if text := s.legend(); text != "" {
			legends[s.Kind()] = text
		}
	}
	var b strings.Builder
	for _, s := range p {
		if text := legends[s.Kind()]; text != "" && !s.Removes() {
			delete(legends, s.Kind())
			b.WriteString(text + "\n")
		}
		b.WriteString(s.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Diff returns the plan that changes have into want. It adds before it deletes, and adds in the order of dependence: routes,
// then rules, link groups and sysctls, then chains and hooks; it deletes in reverse. So a reply that takes the right path
// before takes it after every single step. A route to a found router follows its neighbour entry, and is deleted after it: as long
// as there is such a route, the entries are looked for. The rules of outbound connections follow the chains: a connection that is
// open must have the mark of its uplink before a rule can choose another one for it, and before the rules of another mark go. The
// table that translates sources once more comes before the chains that do, and goes after them. A filter at egress drops more only
// when the chains are there, and less before they change; a classifier gives marks only while there are chains that take them. A flow
// table is taken away for the time of all these steps.
func Diff(want, have State) Plan {
	newRoutes, oldRoutes := routeSteps(want, have)
	newRules, moves, oldRules := ruleSteps(want, have)
	set, restore := tunableSteps(want, have)
	var join Plan
	if len(have.Rules)+len(have.Chains) == 0 {
		join, set = splitGroupSteps(set)
	}
	load, unload := chainAndMarkSteps(want, have, moves)
	newRules, outboundRules := splitOutboundRules(newRules)
	oldRules, oldOutbound := splitOutboundRules(oldRules)
	if len(outboundRules) == 0 {
		load = slices.Concat(oldOutbound, load) // without the chains no rule may choose
		oldOutbound = nil
	}
	forbid, attach, detach := udpSteps(want, have)
	newNeighbours, oldNeighbours := neighbourSteps(want, have)
	count, uncount := routerCounterSteps(want, have)
	backUp, noBackup := backupSteps(want, have)
	relax, filter := egressFilterSteps(want, have)
	declassify, classify := classifierSteps(want, have)
	return pauseFlows(slices.Concat(forbid, relax, declassify, join, newNeighbours, newRoutes, newRules, set, backUp, load, classify, count, attach, outboundRules, filter, oldOutbound, detach, uncount, unload, noBackup, restore, oldRules, oldNeighbours, oldRoutes), want, have)
}

// SplitRemovals returns the steps until the last one that adds or moves a mark, and those that follow, which remove what was replaced.
func (p Plan) SplitRemovals() (rest, removals Plan) {
	n := len(p)
	for n > 0 && (p[n-1].Removes() && !movesMark(p[n-1]) || isPause(p[n-1])) {
		n--
	}
	return p[:n:n], p[n:]
}

// splitGroupSteps separates the steps that set a link's group. For each of them the kernel walks the IPv6 routes of all
// tables, which is cheapest before replypath's routes exist; without replypath's rules a group
// affects no packet.
func splitGroupSteps(steps Plan) (join, others Plan) {
	for _, s := range steps {
		if s.Kind() == KindLink {
			join = append(join, s)
		} else {
			others = append(others, s)
		}
	}
	return join, others
}

// ruleSteps adds before it deletes, except for an old rule that blocks a new one. What markMoves deletes is in its steps alone.
func ruleSteps(want, have State) (write, moves, erase Plan) {
	add, del := delta(want.Rules, have.Rules, compareAddOrder)
	write = make(Plan, 0, len(add))
	if len(del) == 0 {
		for _, r := range add {
			write = append(write, AddRule{r})
		}
		return write, nil, nil
	}
	moves, del = markMoves(want, have, del)
	duplicates, deleted := map[Rule][]Rule{}, map[Rule]bool{}
	for _, r := range del {
		duplicates[r.duplicateKey()] = append(duplicates[r.duplicateKey()], r)
	}
	for _, r := range add {
		for _, old := range duplicates[r.duplicateKey()] {
			if !deleted[old] && old.blocks(r) {
				write = append(write, DelRule{old})
				deleted[old] = true
			}
		}
		write = append(write, AddRule{r})
	}
	for _, r := range slices.Backward(del) {
		if !deleted[r] {
			erase = append(erase, DelRule{r})
		}
	}
	return write, moves, erase
}

// compareAddOrder sorts rules in the order of addition. The look-up of main's specific routes comes first, as the
// look-ups by mark rely on it. The others are added from the end of the block to its start, but a goto directly after its target,
// so that a goto past a rule exists before that rule and is deleted after it. In the reverse order a rule with fewer
// selectors is deleted before one with more: the kernel deletes the first rule that has the given selectors, whatever
// others it has (fib_rules.c, rule_find).
func compareAddOrder(a, b *Rule) int {
	switch {
	case a.Family != b.Family:
		return cmp.Compare(a.Family, b.Family)
	case a.guards() != b.guards():
		return compareBool(a.guards(), b.guards())
	case a.addOrder() != b.addOrder():
		return -cmp.Compare(a.addOrder(), b.addOrder())
	}
	return compareRules(a, b)
}

// addOrder returns the priority by which the rule is sorted: a goto directly precedes its target.
func (r *Rule) addOrder() Priority {
	switch {
	case r.isOutbound() && r.Priority == outboundPriority+outboundDefault:
		return 0 // when all that comes before the default policy is there
	case r.Action == Goto:
		return r.Goto - 1
	}
	return r.Priority
}

// guards reports whether the rule looks up main's specific routes for packets with a mark, or for outbound connections.
func (r *Rule) guards() bool {
	return r.Mask != 0 && (r.SuppressLength != NoSuppress || r.SuppressGroup != NoSuppress) || r.Priority == outboundPriority+outboundMain && r.SuppressLength != NoSuppress
}

// compareBool sorts true first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// routeSteps replaces a route in place. A route before it with the same key hides it and is deleted, also a foreign one. Any
// other route in replypath's tables is deleted only if it has replypath's protocol.
func routeSteps(want, have State) (write, erase Plan) {
	set, _ := delta(want.Routes, have.Routes, compareRoutes)
	write = make(Plan, 0, len(set))
	hidden := map[RouteKey]bool{}
	for _, k := range set {
		if _, exists := have.Routes[k]; !exists {
			write = append(write, SetRoute{k, want.Routes[k]})
			continue
		}
		ahead := k
		for ahead.Nth = 1; have.Routes[ahead] != (Route{}) && have.Routes[ahead] != want.Routes[k]; ahead.Nth++ {
		}
		if have.Routes[ahead] == (Route{}) {
			write = append(write, SetRoute{k, want.Routes[k]})
			continue
		}
		for first := k; first.Nth < ahead.Nth; first.Nth++ {
			erase = append(erase, DelRoute{first, have.Routes[first]})
			hidden[first] = true
		}
		hidden[ahead] = true
	}
	for _, k := range slices.Backward(sortedKeys(have.Routes, compareRoutes)) {
		_, wanted := want.Routes[k]
		if !wanted && !hidden[k] && have.Routes[k].Protocol == Protocol {
			erase = append(erase, DelRoute{k, have.Routes[k]})
		}
	}
	return write, erase
}

// tunableSteps skips tunables that the kernel does not have: of a deleted link, or of another kernel version. It restores
// an original only if the kernel still has the value that replypath wrote.
func tunableSteps(want, have State) (set, restore Plan) {
	write, _ := delta(want.Tunables, have.Tunables, compareTunables)
	for _, t := range write {
		if was, exists := have.Tunables[t]; exists {
			set = append(set, SetTunable{Tunable: t, Old: was, Value: want.Tunables[t]})
		}
	}
	for _, t := range sortedKeys(want.Restored, compareTunables) {
		original := want.Restored[t]
		if now, exists := have.Tunables[t]; exists && now == original.Applied && now != original.Value {
			restore = append(restore, SetTunable{Tunable: t, Old: now, Value: original.Value, Restore: true})
		}
	}
	return set, restore
}
