package foreign

import "slices"

// chainPorts are the ports by which rules select what comes to chains, by location: family or none, table and chain.
type chainPorts map[string][]Port

// add records that a rule in a chain leads to another one with packets of the ports; if it selects none, with those that come to its own
// chain. It reports whether that is new.
func (c chainPorts) add(from, to string, ports []Port) (added bool) {
	if len(ports) == 0 {
		ports = c[from]
	}
	for _, p := range ports {
		if len(c[to]) < maxSetPorts && !slices.Contains(c[to], p) {
			c[to], added = append(c[to], p), true
		}
	}
	return added
}

// link is a jump between two chains, by location.
type link struct {
	from, to string
	ports    []Port
}

// portsOfChains follows the jumps until nothing is new.
func portsOfChains(links []link) chainPorts {
	c := chainPorts{}
	for added := true; added; {
		added = false
		for _, l := range links {
			added = c.add(l.from, l.to, l.ports) || added
		}
	}
	return c
}

// inherit gives the rule the ports that come to its chain, if it matters and selects none itself.
func (r *Rule) inherit(c chainPorts) {
	if r.ChangesReplies() && len(r.Ports()) == 0 {
		copy(r.SetPorts[:], c[r.Location])
	}
}
