package statedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"replypath/cmd/internal/atomicfile"

	"golang.org/x/sys/unix"
)

// ErrBusy is the error of a Lock that another replypath holds for more than lockTimeout.
var ErrBusy = errors.New("another replypath is changing this host: list its process with: fuser -v")

// ErrServiceRuns is the error of a Lock that the service of this network namespace holds.
var ErrServiceRuns = errors.New("the service runs, and it alone changes this host")

const (
	lockTimeout       = 30 * time.Second
	lockRetryInterval = 50 * time.Millisecond // flock(2) has no timeout, so a lock is tried without blocking
)

// Lock is the right to change the host. It ends with the process, or with Release.
type Lock struct {
	file      *os.File
	namespace *namespaceLock // of a service
}

// Lock waits up to lockTimeout until no other replypath changes the host. It does not wait for a service, which never
// releases its lock: the error is then ErrServiceRuns.
func (d Dir) Lock(ctx context.Context) (*Lock, error) {
	file, err := d.lockFile(ctx, ServiceRuns)
	if err != nil {
		return nil, err
	}
	return &Lock{file: file}, nil
}

// LockAsService takes the lock for the service, and the network namespace with it. A namespace that another service has is an error after
// namespaceTimeout, also when that service has another state folder.
func (d Dir) LockAsService(ctx context.Context) (*Lock, error) {
	ns, err := lockNamespace(ctx)
	if err != nil {
		return nil, err
	}
	file, err := d.lockFile(ctx, func(context.Context) bool { return false })
	if err != nil {
		ns.release()
		return nil, err
	}
	return &Lock{file, ns}, nil
}

// Release releases the lock. It does nothing for nil.
func (l *Lock) Release() {
	if l == nil {
		return
	}
	l.file.Close()
	if l.namespace != nil {
		l.namespace.release()
	}
}

func (d Dir) lockFile(ctx context.Context, serviceRuns func(context.Context) bool) (*os.File, error) {
	f, err := d.openLockFile()
	if err != nil {
		return nil, err
	}
	for began := time.Now(); ; {
		switch err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			d.removeLeftovers()
			return f, nil
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
		return nil, errors.Join(err, f.Close())
	}
}

func (d Dir) openLockFile() (*os.File, error) {
	path := d.file(originalsName) + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	f, err := atomicfile.Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the host: %w", withRemedy(err))
	}
	return f, nil
}
