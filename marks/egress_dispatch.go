package marks

import "slices"

// egressDispatch leads packets to a rule by the link that they leave by.
type egressDispatch struct {
	below string            // begins the names of the chains below, of at most 14 characters; the common beginning of their links' names follows
	rule  func(Egress) Rule // of a link: it has the link's name in Out
}

// add appends the chain that dispatches to the rules of the links, and the chains below it: as addIngressDispatch does for
// ingress links.
func (d egressDispatch) add(chains []Chain, name string, egress []Egress) []Chain {
	if len(egress) <= MaxLinear {
		rules := make([]Rule, len(egress))
		for i, e := range egress {
			rules[i] = d.rule(e)
		}
		return append(chains, Chain{name, rules})
	}
	byName := make([]Ingress, len(egress))
	link := make(map[string]Egress, len(egress))
	for i, e := range egress {
		byName[i], link[e.Link] = Ingress{Link: e.Link}, e
	}
	index := len(chains)
	chains = append(chains, Chain{Name: name})
	for _, group := range groupByPrefix(byName) {
		rule := d.rule(link[group[0].Link])
		if len(group) > 1 {
			prefix := commonPrefix(group)
			rule = Rule{Out: prefix + "+", Action: Action{Kind: Goto, Chain: d.below + prefix}}
			var below []Egress
			for _, l := range group {
				below = append(below, link[l.Link])
			}
			chains = d.add(chains, d.below+prefix, below)
		}
		chains[index].Rules = append(chains[index].Rules, rule)
	}
	return chains
}

// byEgressLink returns the chain that looks up the link that a packet leaves by in a map, the map, and the chains of the links, to which
// it leads.
func byEgressLink(name, mapName string, egress []Egress, chain func(Egress) Chain) []Chain {
	elements := Chain{Name: mapName}
	chains := []Chain{{name, []Rule{{Action: Action{Kind: LookUpOut, Chain: mapName}}}}}
	for _, e := range egress {
		own := chain(e)
		chains = append(chains, own)
		elements.Rules = append(elements.Rules, Rule{In: e.Link, Action: Action{Kind: Goto, Chain: own.Name}})
	}
	slices.SortFunc(elements.Rules, CompareElements)
	return append(chains, elements)
}
