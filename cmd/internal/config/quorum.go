package config

import (
	"fmt"

	"replypath/health"
)

// resolveHealth returns the uplink's probes and quorum. Keys that a probe does not set are those of probeDefaults.
func (u fileUplink) resolveHealth(probeDefaults health.Probe, linkOnly bool) health.UplinkSettings {
	w := health.UplinkSettings{Name: u.name, Quorum: 1, CarrierOnly: linkOnly}
	for _, p := range u.probes {
		w.Probes = append(w.Probes, p.resolve(probeDefaults))
	}
	if u.quorum == nil {
		return w
	}
	q := *u.quorum
	switch most := max(1, len(w.Probes)); {
	case q.val < 1:
		q.addMistake("use 1, or the number of probes that must be answered", "quorum %d is below 1", q.val)
		return w
	case q.val > int64(most):
		q.addMistake(fmt.Sprintf("use at most %d, or add a probe", most), "quorum %d is more than the uplink's number of probes, %d", q.val, len(w.Probes))
		return w
	}
	w.Quorum = int(q.val)
	return w
}

// linkOnly reports whether families without a probe are judged by the link's carrier.
func (t *stringValue) linkOnly() bool {
	switch {
	case t == nil, t.val == string(health.Gateway):
		return false
	case t.val != off:
		t.addMistake(`use "gateway" (ping the gateway in families without a probe) or "off" (judge them by the link's carrier)`, "unknown otherwise %q", t.val)
	}
	return true
}
