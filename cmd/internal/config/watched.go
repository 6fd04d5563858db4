package config

import (
	"fmt"

	"replypath/health"
)

// watched is how the uplink is watched. usual is a probe that says nothing itself.
func (u fileUplink) watched(usual health.Probe, alone bool) health.Uplink {
	w := health.Uplink{Name: u.name, Quorum: 1, Alone: alone}
	for _, p := range u.probes {
		w.Probes = append(w.Probes, p.believe(usual))
	}
	if u.quorum == nil {
		return w
	}
	q := *u.quorum
	switch most := max(1, len(w.Probes)); {
	case q.is < 1:
		q.wrong("use 1, or as many as must be answered", "quorum cannot be %d", q.is)
		return w
	case q.is > int64(most):
		q.wrong(fmt.Sprintf("use at most %d, or add a probe", most), "quorum %d is more than the uplink has probes", q.is)
		return w
	}
	w.Quorum = int(q.is)
	return w
}

// alone reports whether nobody is asked where no probe is written.
func (t *text) alone() bool {
	switch {
	case t == nil, t.is == string(health.Gateway):
		return false
	case t.is != off:
		t.wrong(`use "gateway" (it is asked where no probe is written) or "off" (nobody is: the link alone decides)`, "otherwise cannot be %q", t.is)
	}
	return true
}
