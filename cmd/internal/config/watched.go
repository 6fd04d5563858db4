package config

import (
	"fmt"

	"replypath/health"
	"replypath/uplinks"
)

// watched is how the uplink is watched. usual is a probe that says nothing itself.
func (u fileUplink) watched(b uplinks.Uplink, usual health.Probe) health.Uplink {
	w := health.Uplink{Name: u.name, Quorum: 1}
	for _, p := range u.probes {
		w.Probes = append(w.Probes, p.believe(usual))
	}
	if u.quorum == nil {
		return w
	}
	const remedy = "use at most %d, or add a probe"
	q := *u.quorum
	switch most := max(1, len(w.Probes)); {
	case q.is < 1:
		q.wrong(fmt.Sprintf("use a number from 1 to %d", most), "quorum cannot be %d", q.is)
		return w
	case q.is > int64(most):
		q.wrong(fmt.Sprintf(remedy, most), "quorum %d is more than the uplink has probes", q.is)
		return w
	}
	w.Quorum = int(q.is)
	for _, f := range uplinks.Families {
		// Where no probe asks, the gateway is asked, and it alone is enough.
		if n := len(w.In(f)); n > 0 && n < w.Quorum && b.Manages(f) {
			q.wrong(fmt.Sprintf(remedy+" that asks by %s", n, f), "quorum %d can never be met for %s: only %d of the probes can ask by it", q.is, f, n)
		}
	}
	return w
}
