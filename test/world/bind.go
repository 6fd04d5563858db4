package world

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// bindTime is how long Bind waits for a port: longer than execve(2) takes on a busy machine.
const bindTime = 20 * time.Second

// Bind runs f, which binds a port, in the host's namespace, until it finds the port free. A port that was closed can still be in use for
// a moment: a process that was forked meanwhile has a copy of every socket until execve(2) closes it (close-on-exec).
func (h *Host) Bind(f func() error) error {
	return retryInUse(func() (err error) {
		h.Do(func() { err = f() })
		return err
	})
}

// retryInUse runs f until its error is another than EADDRINUSE. No event tells that the last copy of a socket is closed.
func retryInUse(f func() error) error {
	for deadline := time.Now().Add(bindTime); ; time.Sleep(time.Millisecond) {
		if err := f(); !errors.Is(err, unix.EADDRINUSE) || time.Now().After(deadline) {
			return err
		}
	}
}
