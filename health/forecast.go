package health

import (
	"slices"
	"time"
)

// Asked are the probes that the path is judged by: the uplink's that are asked in its family, and otherwise its gateway.
// There is none on a point-to-point link without either. A gateway that is not known yet is counted on.
func (u Uplink) Asked(p Path) []Probe {
	alone := p.Direct && !p.Gateway.IsValid()
	var all []Probe
	for _, q := range u.In(p.Family) {
		if q.Target.Kind != Gateway || !alone {
			all = append(all, q)
		}
	}
	if len(all) == 0 && !alone {
		return []Probe{NewProbe(string(Gateway), Target{Kind: Gateway})}
	}
	return all
}

// Worst is the longest time from the moment from which nobody answers by the path until the uplink counts as down in its
// family. It is not known when nobody is asked.
func (u Uplink) Worst(p Path) (d time.Duration, known bool) {
	var all []time.Duration
	for _, q := range u.Asked(p) {
		all = append(all, q.Worst())
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	// All fall silent at once. Of n probes of which the quorum must be answered, n-quorum may be down, and one more may not.
	return all[len(all)-u.need(len(all))], true
}

// need is how many of so many probes must be answered.
func (u Uplink) need(probes int) int { return min(max(u.Quorum, 1), probes) }
