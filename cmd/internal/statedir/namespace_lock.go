package statedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"replypath/cmd/internal/atomicfile"
	"replypath/cmd/internal/namespace"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// namespaceLock is a service's lock on its network namespace. It has two parts, as each alone has a gap: a locked file
// cannot be seen from another mount namespace, and any user can bind an abstract socket name.
type namespaceLock struct {
	file, socket *os.File // either may be nil
}

// serviceSocket is an abstract unix socket name: the kernel binds it once in a network namespace and frees it when its
// owner dies (unix(7)). The socket does not listen, so nothing can connect to it.
const serviceSocket = "@replypath"

// namespaceTimeout is how long a service waits for its network namespace: a program that a killed service was starting has a copy of the
// locks until it runs (fork(2), O_CLOEXEC of open(2)).
const namespaceTimeout = time.Second

// errNamespaceTaken is the error of a service in a network namespace that another one has.
var errNamespaceTaken = errors.New("another replypath has this network namespace")

// lockNamespace waits up to namespaceTimeout for the network namespace.
func lockNamespace(ctx context.Context) (*namespaceLock, error) {
	for began := time.Now(); ; {
		l, err := tryLockNamespace(ctx)
		if !errors.Is(err, errNamespaceTaken) || time.Since(began) > namespaceTimeout {
			return l, err
		}
		select {
		case <-time.After(lockRetryInterval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func tryLockNamespace(ctx context.Context) (*namespaceLock, error) {
	file, err := lockNamespaceFile(DefaultPath)
	if err != nil {
		return nil, err
	}
	socket, err := bindServiceSocket(ctx)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &namespaceLock{file, socket}, nil
}

func (l *namespaceLock) release() {
	l.file.Close() // of a nil file does nothing
	l.socket.Close()
}

// lockNamespaceFile locks the namespace's file in this folder. It returns no file where none can be made: then the socket
// name is the only lock.
func lockNamespaceFile(dir string) (*os.File, error) {
	cookie, err := namespace.Cookie()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fmt.Sprintf("service-%d.lock", cookie))
	err = os.MkdirAll(dir, 0o700)
	var f *os.File
	if err == nil {
		f, err = atomicfile.Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock the network namespace: %w", withRemedy(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: list its process with: fuser -v %s", errNamespaceTaken, f.Name()), f.Close())
	}
	return f, nil
}

// bindServiceSocket binds the service's socket name. A name that is bound by a user other than root, or whose owner the
// kernel does not report, is no lock: it returns no socket then.
func bindServiceSocket(ctx context.Context) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lock the network namespace: %w", err)
	}
	socket := os.NewFile(uintptr(fd), serviceSocket)
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: serviceSocket}); err == nil {
		return socket, nil
	}
	socket.Close()
	if !errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("lock the network namespace: %w", err)
	}
	if !ServiceRuns(ctx) {
		return nil, nil
	}
	return nil, fmt.Errorf("%w: list its process with: ss -xap src %s", errNamespaceTaken, serviceSocket)
}

// ServiceRuns reports whether a service that runs as root has locked this network namespace, whatever its state folder.
func ServiceRuns(ctx context.Context) bool {
	uid, bound, err := rtnl.UnixSocketOwner(ctx, serviceSocket)
	return err == nil && bound && uid == 0
}
