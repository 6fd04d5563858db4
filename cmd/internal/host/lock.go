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

// ErrServiceRuns is the error of a Lock that the service of this network namespace holds.
var ErrServiceRuns = errors.New("the service runs, and it alone changes this host")

// lockTimeout is how long a Lock waits for another replypath to finish its change.
const lockTimeout = 30 * time.Second

type hostLock struct {
	file      *os.File
	namespace namespaceLock
}

// PeerCredentials asks the kernel who is at the other end (unix(7), SO_PEERCRED).
func PeerCredentials(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	controlled := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(controlled, err)
}

// Lock makes this the only program of ours that writes, until Close. It waits for another to finish, but not for a service,
// which never does.
func (h *Host) Lock(ctx context.Context) error {
	return h.acquireLock(ctx, ServiceRuns)
}

// LockAsService is a Lock of the one service in this network namespace: beside another it fails at once, also when that
// has another state folder.
func (h *Host) LockAsService(ctx context.Context) error {
	if err := h.lock.namespace.acquire(ctx); err != nil {
		return err
	}
	return h.acquireLock(ctx, func(context.Context) bool { return false })
}

// lockRetryInterval is how often is tried to lock what another program has locked. Nothing takes a blocked flock(2) back.
const lockRetryInterval = 50 * time.Millisecond

func (h *Host) acquireLock(ctx context.Context, serviceRuns func(context.Context) bool) error {
	f, err := h.openLockFile()
	if err != nil {
		return err
	}
	for began := time.Now(); ; {
		switch err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			h.lock.file = f
			return h.originals.read()
		case err != unix.EWOULDBLOCK:
			err = fmt.Errorf("lock %s: %w", f.Name(), err)
		case serviceRuns(ctx):
			err = ErrServiceRuns
		case time.Since(began) > lockTimeout:
			err = fmt.Errorf("%w %s", ErrBusy, f.Name())
		default:
			select {
			case <-time.After(lockRetryInterval):
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return errors.Join(err, f.Close())
	}
}

// flockNow locks a service's file without waiting, or closes it.
func flockNow(f *os.File) (*os.File, error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another replypath has this network namespace: see which: fuser -v %s", f.Name()), f.Close())
	}
	return f, nil
}

func (h *Host) openLockFile() (*os.File, error) {
	path := h.originals.path + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for what is remembered: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the host: %w", err)
	}
	return f, nil
}

func (l *hostLock) release() {
	if l.file != nil {
		l.file.Close()
	}
	l.namespace.release()
}
