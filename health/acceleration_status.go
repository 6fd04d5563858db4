package health

import (
	"fmt"
	"strings"

	"replypath/uplinks"
)

// AccelerationStatus is the state of the flow table.
type AccelerationStatus struct {
	InForce bool                     `json:"in_force"`
	Links   []string                 `json:"links"`              // in the flow table
	LeftOut []uplinks.NotAccelerated `json:"left_out,omitempty"` // and why
	Why     string                   `json:"why,omitempty"`      // it is not in force
}

// NewAccelerationStatus returns the state, nil if the settings have no acceleration.
func NewAccelerationStatus(s uplinks.Settings, f uplinks.Facts) *AccelerationStatus {
	if s.Accelerate == nil {
		return nil
	}
	t, out, ok := s.FlowTable(f)
	a := &AccelerationStatus{InForce: ok && f.FlowRefused == "", Links: []string{}, LeftOut: out, Why: f.FlowRefused}
	switch {
	case a.InForce:
		a.Links = t.Links()
	case a.Why == "":
		a.Why = "it needs an uplink and another link that can be in a flow table"
	}
	return a
}

// Text returns the state as a sentence without a full stop.
func (a AccelerationStatus) Text() string {
	if !a.InForce {
		return "no connection is accelerated: " + a.Why
	}
	text := "established connections between " + strings.Join(a.Links, ", ") + " go by a flow table"
	if len(a.LeftOut) > 0 {
		text += fmt.Sprintf("; %d links are left out", len(a.LeftOut))
	}
	return text
}
