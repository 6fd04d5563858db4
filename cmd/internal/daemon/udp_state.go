package daemon

import (
	"sync/atomic"

	"replypath/health"
	"replypath/uplinks"
)

// udpState keeps the state of the programs of [udp]. Safe for concurrent use.
type udpState struct {
	now atomic.Pointer[health.UDPStatus]
}

// Status returns the state, nil if there are no programs.
func (u *udpState) Status() *health.UDPStatus { return u.now.Load() }

// observe sets the state that a round has observed.
func (u *udpState) observe(s uplinks.Settings, f uplinks.Facts) {
	u.now.Store(health.NewUDPStatus(s, f))
}
