package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is the error of a Lock that another replypath holds for too long.
var ErrBusy = errors.New("another replypath is changing this host: see which: fuser -v")

// patience is how long a Lock waits for another replypath to finish its change.
const patience = 30 * time.Second

type lock struct{ file *os.File }

// Lock makes this the only program of ours that writes, until Close. It waits for another to finish.
func (h *Host) Lock(ctx context.Context) error {
	path := h.found.path + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder for what is remembered: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the host: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w %s", ErrBusy, path))
	defer cancel()
	locked := make(chan error, 1)
	go func() { locked <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	select {
	case err = <-locked:
	case <-ctx.Done():
		// The waiting goroutine ends with the process: nothing takes a blocked flock(2) back.
		return context.Cause(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	h.lock.file = f
	return h.found.load()
}

func (l *lock) release() {
	if l.file != nil {
		l.file.Close()
	}
}
