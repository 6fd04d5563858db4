package prover

import (
	"slices"

	"replypath/health/proof"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// listRules adds to the output the rules of other programs whose effect cannot be observed: at the ingress of links inside, and those that
// break neighbour discovery by uplinks.
func (r *run) listRules(others []foreign.Rule) {
	o := r.output
	o.UnreadQueues = unreadQueues(others)
	o.AtIngress, o.Discovery = map[int][]proof.ListedRule{}, map[int]proof.ListedRule{}
	for _, f := range others {
		listed := proof.ListedRule{Rule: f, Place: placeOf(f)}
		if f.BreaksDiscovery {
			r.addDiscovery(listed)
		}
		if !f.ChangesIngress() {
			continue
		}
		for _, name := range f.Devices.Values() {
			if index := r.host.Facts.Links[name].Index; !slices.Contains(r.uplinkIndexes, index) {
				o.AtIngress[index] = append(o.AtIngress[index], listed)
			}
		}
	}
}

// unreadQueues returns the rules that hand packets to queues which no program reads.
func unreadQueues(others []foreign.Rule) (all []proof.ListedRule) {
	if !slices.ContainsFunc(others, func(f foreign.Rule) bool { return f.Queues.Hands }) {
		return nil
	}
	read, known := procfs.Queues()
	for _, f := range others {
		if _, unread := f.Queues.Unread(func(n uint16) bool { return slices.Contains(read, n) }); known && unread {
			all = append(all, proof.ListedRule{Rule: f, Place: placeOf(f)})
		}
	}
	return all
}

// addDiscovery adds the rule for the uplinks whose packets it selects, and whose links resolve neighbours.
func (r *run) addDiscovery(l proof.ListedRule) {
	for _, p := range r.paths {
		link := r.output.Links[p.Index]
		_, known := r.output.Discovery[p.Index]
		selected := (l.Out == "" || l.Out == p.Link) && (l.Devices.IsEmpty() || slices.Contains(l.Devices.Values(), p.Link))
		if p.Family == uplinks.IPv6 && selected && !known && link.Ethernet && !link.NoARP {
			r.output.Discovery[p.Index] = l
		}
	}
}
