package daemon

import (
	"sync/atomic"

	"replypath/uplinks"
)

// observedStatus keeps a part of the status that is made of what a round has observed. Safe for concurrent use.
type observedStatus[T any] struct {
	from func(uplinks.Settings, uplinks.Facts) *T // returns nil if the part is not configured
	now  atomic.Pointer[T]
}

// Status returns the state, nil if none is configured.
func (o *observedStatus[T]) Status() *T { return o.now.Load() }

// observe sets the state that a round has observed.
func (o *observedStatus[T]) observe(s uplinks.Settings, f uplinks.Facts) { o.now.Store(o.from(s, f)) }
