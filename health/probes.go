package health

// probesOf are the questions that are put through the path: those that the operator asked for and that its family can
// carry, otherwise the gateway. There may be none: a point-to-point link without a target is judged by the link alone.
func probesOf(u Uplink, p Path) (all []Probe) {
	for _, probe := range u.In(p.Family) {
		if probe.Target.Kind != Gateway || p.Gateway.IsValid() {
			all = append(all, probe)
		}
	}
	if len(all) == 0 && p.Gateway.IsValid() {
		all = append(all, NewProbe("gateway", Target{Kind: Gateway}))
	}
	return all
}
