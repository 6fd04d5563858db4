package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is the error of a Lock that another replypath holds for too long.
var ErrBusy = errors.New("another replypath is changing this host: see which: fuser -v")

// patience is how long a Lock waits for another replypath to finish its change.
const patience = 30 * time.Second

type lock struct {
	file  *os.File
	claim claim
}

// Caller asks the kernel who is at the other end (unix(7), SO_PEERCRED).
func Caller(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var who *unix.Ucred
	controlled := raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return who, errors.Join(controlled, err)
}

// Lock makes this the only program of ours that writes, until Close. It waits for another to finish.
func (h *Host) Lock(ctx context.Context) error {
	f, err := h.openLock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w %s", ErrBusy, f.Name()))
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
		return errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	h.lock.file = f
	return h.found.load()
}

// TryLock is a Lock that does not wait: the service wants to be the only one in its network namespace, also beside one
// that has another state folder.
func (h *Host) TryLock(ctx context.Context) error {
	if err := h.lock.claim.take(ctx); err != nil {
		return err
	}
	f, err := h.openLock()
	if err != nil {
		return err
	}
	if h.lock.file, err = alone(f); err != nil {
		return err
	}
	return h.found.load()
}

// alone locks a service's file without waiting, or closes it.
func alone(f *os.File) (*os.File, error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another replypath has this network namespace: see which: fuser -v %s", f.Name()), f.Close())
	}
	return f, nil
}

func (h *Host) openLock() (*os.File, error) {
	path := h.found.path + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for what is remembered: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the host: %w", err)
	}
	return f, nil
}

func (l *lock) release() {
	if l.file != nil {
		l.file.Close()
	}
	l.claim.release()
}
