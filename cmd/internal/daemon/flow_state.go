package daemon

import (
	"sync/atomic"

	"replypath/health"
	"replypath/uplinks"
)

// flowState keeps the state of the flow table. Safe for concurrent use.
type flowState struct {
	now atomic.Pointer[health.AccelerationStatus]
}

// Status returns the state, nil if none is configured.
func (fl *flowState) Status() *health.AccelerationStatus { return fl.now.Load() }

// observe sets the state that a round has observed.
func (fl *flowState) observe(s uplinks.Settings, f uplinks.Facts) {
	fl.now.Store(health.NewAccelerationStatus(s, f))
}
