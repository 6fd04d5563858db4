package marks

// Ids are dispatched in groups of 2^digitBits, and groups by the digits of their number.
const (
	digitBits = 2
	maxDigit  = 1<<digitBits - 1
)

// addMarkTree appends chains that lead a packet by the mark of its connection to the rules of the mark's group, in a number of rules
// that grows with the logarithm of the number of groups. The first chain is that of group 0. A packet that none of the rules takes
// meets otherwise.
func addMarkTree(chains []Chain, mask Mask, name func(group ID) string, rules map[ID][]Rule, otherwise Rule) []Chain {
	var last ID
	for group := range rules {
		last = max(last, group)
	}
	reached := reachableGroups(rules)
	for group := range last + 1 {
		if reached[group] {
			all := append(digitRules(mask, group, last, reached, name), rules[group]...)
			chains = append(chains, Chain{name(group), append(all, otherwise)})
		}
	}
	return chains
}

// digitRules returns the gotos from a group's chain to the groups whose numbers differ from its own by one digit, below
// its lowest digit. The digits of group 0 are all below.
func digitRules(mask Mask, group, last ID, reached map[ID]bool, name func(group ID) string) (rules []Rule) {
	for shift := digitsBelow(group, last); shift > 0; shift -= digitBits {
		for digit := ID(maxDigit); digit > 0; digit-- {
			next := group + digit<<(shift-digitBits)
			if reached[next] {
				match := MarkMatch{Mark: mask.Mark(digit << shift), Mask: Mask(mask.Mark(maxDigit<<shift)) & mask}
				rules = append(rules, Rule{Ctmark: match, Action: Action{Kind: Goto, Chain: name(next)}})
			}
		}
	}
	return rules
}

// reachableGroups returns the groups with rules and the groups on the way to them: a group is reached from the one
// without its lowest digit.
func reachableGroups(rules map[ID][]Rule) map[ID]bool {
	reached := map[ID]bool{0: true}
	for group := range rules {
		for shift := 0; group != 0; shift += digitBits {
			if digit := group & (maxDigit << shift); digit != 0 {
				reached[group] = true
				group -= digit
			}
		}
	}
	return reached
}

// digitsBelow returns how many bits of a group's number are below its lowest digit that is not zero: for group 0, all bits
// of the last group.
func digitsBelow(group, last ID) (bits int) {
	if group == 0 {
		for ; last>>bits != 0; bits += digitBits {
		}
		return bits
	}
	for ; group>>bits&maxDigit == 0; bits += digitBits {
	}
	return bits
}
