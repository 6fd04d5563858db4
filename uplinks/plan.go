package uplinks

import (
	"cmp"
	"slices"
	"strings"
)

// Plan is what must be done, in order. The empty Plan means "in sync".
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

// Diff is the plan that makes have into want. What packets lean on is laid down first and taken up last: routes, rules,
// groups and sysctls, chains and their jumps; what is new is there before what is old goes. So at no step does a reply
// that was right go wrong.
func Diff(want, have State) Plan {
	newRoutes, oldRoutes := routeSteps(want, have)
	newRules, oldRules := ruleSteps(want, have)
	set, restore := tunableSteps(want, have)
	var join Plan
	if len(have.Rules)+len(have.Chains) == 0 {
		join, set = splitGroupSteps(set)
	}
	load, unload := chainSteps(want, have)
	return slices.Concat(join, newRoutes, newRules, set, load, unload, restore, oldRules, oldRoutes)
}

// splitGroupSteps parts the steps that put links into groups from the others. As long as nothing of ours asks for a link's
// group it makes no difference to any packet, and for each link that joins one the kernel walks all IPv6 routes of all
// tables: that is cheapest before ours are there.
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

// ruleSteps adds before it deletes, but for a rule that the kernel would take for the one to be added.
func ruleSteps(want, have State) (write, erase Plan) {
	add, del := delta(want.Rules, have.Rules, compareAddOrder)
	write = make(Plan, 0, len(add))
	if len(del) == 0 {
		for _, r := range add {
			write = append(write, AddRule{r})
		}
		return write, nil
	}
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
	return write, erase
}

// compareAddOrder puts a family's first rule first, as everything below leans on main's specific routes being asked before,
// and then goes from a block's end to its beginning, but for a goto, which is laid as soon as its target is there: what
// leads past a rule is there before that rule and goes after it. Taken up in reverse, what selects less goes before what
// selects more: the kernel deletes the first rule that has what it is told, and what it is not told can be anything.
func compareAddOrder(a, b *Rule) int {
	switch {
	case a.Family != b.Family:
		return cmp.Compare(a.Family, b.Family)
	case a.suppresses() != b.suppresses():
		return compareBool(a.suppresses(), b.suppresses())
	case a.addOrder() != b.addOrder():
		return -cmp.Compare(a.addOrder(), b.addOrder())
	}
	return compareRules(a, b)
}

func (r *Rule) addOrder() Priority {
	if r.Action == Goto {
		return r.Goto - 1
	}
	return r.Priority
}

func (r *Rule) suppresses() bool {
	return r.SuppressLength != NoSuppress || r.SuppressGroup != NoSuppress
}

// compareBool puts true first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// routeSteps replaces a route in place. What stands before ours under the same key hides it and goes, whosesoever it
// is; what stands behind ours, or under a key of its own in one of our tables, goes only when it is ours.
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

// tunableSteps leaves alone what the kernel does not have (a link that went away, a sysctl of another version), and
// does not take back what somebody else has set after us.
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
