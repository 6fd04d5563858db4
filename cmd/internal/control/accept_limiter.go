package control

import (
	"net"
	"slices"
	"sync"
)

// acceptLimiter bounds the connections that have not sent their request yet. It closes the oldest one to make room, so that
// silent callers cannot keep others out.
type acceptLimiter struct {
	mu      sync.Mutex
	waiting []*net.UnixConn // oldest first
}

func (l *acceptLimiter) add(c *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == MaxCalls {
		l.waiting[0].Close()
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, c)
}

func (l *acceptLimiter) remove(c *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, c); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
}
