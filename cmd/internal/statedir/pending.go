package statedir

import (
	"errors"
	"reflect"
	"time"

	"replypath/marks"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// Pending is a change that goes back by itself unless it is confirmed.
type Pending struct {
	Deadline time.Duration     // since boot
	New      uplinks.Settings  // what was applied
	Previous *uplinks.Settings // what is gone back to; nil: to nothing of ours
	Reverted bool              // it has gone back: New is refused until somebody asks for it anew
}

// Applied gives the settings that were applied last, nil when there are none.
func (d Dir) Applied() (*uplinks.Settings, error) {
	var s uplinks.Settings
	found, err := d.ReadJSON("inforce", &s)
	if !found {
		return nil, err
	}
	return &s, err
}

// SetApplied notes settings that have been applied; nil: none are.
func (d Dir) SetApplied(s *uplinks.Settings) error {
	if s == nil {
		return d.Remove("inforce")
	}
	return d.WriteJSON("inforce", s)
}

// Pending gives the change that is not confirmed, nil when there is none.
func (d Dir) Pending() (*Pending, error) {
	var p Pending
	found, err := d.ReadJSON("pending", &p)
	if !found {
		return nil, err
	}
	return &p, err
}

// SetPending notes a change that is not confirmed; nil: there is none.
func (d Dir) SetPending(p *Pending) error {
	if p == nil {
		return d.Remove("pending")
	}
	return d.WriteJSON("pending", p)
}

// Remaining is the time until the change goes back, not below 0.
func (p *Pending) Remaining() time.Duration { return max(0, p.Deadline-SinceBoot()) }

// ErrNothingPending is the error of a confirmation that comes too late, or without need.
var ErrNothingPending = errors.New("no change waits to be confirmed: it is confirmed already, or has gone back")

// RollbackTarget is what is gone back to. Settings without uplinks are nothing of ours.
func (p *Pending) RollbackTarget() uplinks.Settings {
	if p.Previous == nil {
		return uplinks.Settings{Backend: marks.Auto}
	}
	return *p.Previous
}

// Matches reports whether these are the settings that are not confirmed.
func (p *Pending) Matches(s uplinks.Settings) bool { return p != nil && reflect.DeepEqual(p.New, s) }

// SinceBoot is a clock that no operator sets, and that goes on while the host sleeps (clock_gettime(2)).
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
