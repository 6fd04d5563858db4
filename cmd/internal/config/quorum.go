package config

import (
	"fmt"

	"replypath/health"
)

// resolveHealth is how the uplink is watched. usual is a probe that says nothing itself.
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
		q.addMistake("use 1, or as many as must be answered", "quorum cannot be %d", q.val)
		return w
	case q.val > int64(most):
		q.addMistake(fmt.Sprintf("use at most %d, or add a probe", most), "quorum %d is more than the uplink has probes", q.val)
		return w
	}
	w.Quorum = int(q.val)
	return w
}

// linkOnly reports whether nobody is asked where no probe is written.
func (t *stringValue) linkOnly() bool {
	switch {
	case t == nil, t.val == string(health.Gateway):
		return false
	case t.val != off:
		t.addMistake(`use "gateway" (it is asked where no probe is written) or "off" (nobody is: the link alone decides)`, "otherwise cannot be %q", t.val)
	}
	return true
}
