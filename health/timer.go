package health

import "time"

// Timer is a time.Timer, or works like one.
type Timer interface {
	Reset(time.Duration) bool
	Stop() bool
}

// Timers makes timers that call a function, as those of time.AfterFunc do, and that do not run yet. Nil makes those of the runtime.
type Timers func(f func()) Timer

// New makes a timer.
func (t Timers) New(f func()) Timer {
	if t != nil {
		return t(f)
	}
	timer := time.AfterFunc(time.Hour, f)
	timer.Stop()
	return timer
}
