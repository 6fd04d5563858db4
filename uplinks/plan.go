package uplinks

import (
	"cmp"
	"slices"
	"strings"
)

// Plan is what must be done, in order. The empty Plan means "in sync".
type Plan []Step

// rows says what the rules are that a reader of a plan with many uplinks meets first.
const rows = "# marks of ids above 3 are asked for in rows of 4, each with a way out; bit by bit a goto leads past the rows that it cannot be in"

// String has the lines that do the same as the plan when they are pasted into a shell.
func (p Plan) String() string {
	var b strings.Builder
	said := !slices.ContainsFunc(p, leadsToMany)
	for _, s := range p {
		if _, rule := s.(AddRule); rule && !said {
			said = true
			b.WriteString(rows + "\n")
		}
		b.WriteString(s.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// leadsToMany tells whether a step adds a way to a row of marks, or past one.
func leadsToMany(s Step) bool {
	add, ok := s.(AddRule)
	r := add.Rule
	return ok && r.Action == Goto && !r.Not && r.Mark != 0 && r.In == ""
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
		join, set = groupsFirst(set)
	}
	load, unload := chainSteps(want, have)
	return slices.Concat(join, newRoutes, newRules, set, load, unload, restore, oldRules, oldRoutes)
}

// groupsFirst parts the steps that put links into groups from the others. As long as nothing of ours asks for a link's
// group it makes no difference to any packet, and for each link that joins one the kernel walks all IPv6 routes of all
// tables: that is cheapest before ours are there.
func groupsFirst(steps Plan) (join, others Plan) {
	for _, s := range steps {
		if set, is := s.(SetTunable); is && set.Tunable.Name == LinkGroup {
			join = append(join, s)
		} else {
			others = append(others, s)
		}
	}
	return join, others
}

// ruleSteps adds before it deletes, but for a rule that the kernel would take for the one to be added.
func ruleSteps(want, have State) (write, erase Plan) {
	add, del := delta(want.Rules, have.Rules, layOrder)
	write = make(Plan, 0, len(add))
	if len(del) == 0 {
		for _, r := range add {
			write = append(write, AddRule{r})
		}
		return write, nil
	}
	twins, gone := map[Rule][]Rule{}, map[Rule]bool{}
	for _, r := range del {
		twins[r.twin()] = append(twins[r.twin()], r)
	}
	for _, r := range add {
		for _, old := range twins[r.twin()] {
			if !gone[old] && old.bars(r) {
				write = append(write, DelRule{old})
				gone[old] = true
			}
		}
		write = append(write, AddRule{r})
	}
	for _, r := range slices.Backward(del) {
		if !gone[r] {
			erase = append(erase, DelRule{r})
		}
	}
	return write, erase
}

// layOrder puts a family's first rule first, as everything below leans on main's specific routes being asked before,
// and then goes from a block's end to its beginning, but for a goto, which is laid as soon as its target is there: what
// leads past a rule is there before that rule and goes after it. Taken up in reverse, what selects less goes before what
// selects more: the kernel deletes the first rule that has what it is told, and what it is not told can be anything.
func layOrder(a, b *Rule) int {
	switch {
	case a.Family != b.Family:
		return cmp.Compare(a.Family, b.Family)
	case a.suppresses() != b.suppresses():
		return compareBool(a.suppresses(), b.suppresses())
	case a.layPlace() != b.layPlace():
		return -cmp.Compare(a.layPlace(), b.layPlace())
	}
	return compareRules(a, b)
}

func (r *Rule) layPlace() Priority {
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
		if _, taken := have.Routes[k]; !taken {
			write = append(write, SetRoute{k, want.Routes[k]})
			continue
		}
		before := k
		for before.Nth = 1; have.Routes[before] != (Route{}) && have.Routes[before] != want.Routes[k]; before.Nth++ {
		}
		if have.Routes[before] == (Route{}) {
			write = append(write, SetRoute{k, want.Routes[k]})
			continue
		}
		for first := k; first.Nth < before.Nth; first.Nth++ {
			erase = append(erase, DelRoute{first, have.Routes[first]})
			hidden[first] = true
		}
		hidden[before] = true
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
			set = append(set, SetTunable{Tunable: t, Was: was, Value: want.Tunables[t]})
		}
	}
	for _, t := range sortedKeys(want.Returned, compareTunables) {
		found := want.Returned[t]
		if now, exists := have.Tunables[t]; exists && now == found.Set && now != found.Was {
			restore = append(restore, SetTunable{Tunable: t, Was: now, Value: found.Was, Restore: true})
		}
	}
	return set, restore
}
