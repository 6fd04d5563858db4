package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// DefaultStateDir is where things are remembered unless another one is named, and where services lock their network namespace
// whatever folder they remember things in. Only root may look into it.
const DefaultStateDir = "/run/replypath"

// namespaceLock is a service's hold on its network namespace, in two ways, as each alone has a gap: the lock on a file is not
// seen from another mount namespace, and the name may be an ordinary user's.
type namespaceLock struct {
	file, socket *os.File
}

// serviceSocket is an abstract unix name: the kernel gives it once in a network namespace, and takes it back when its holder
// dies (unix(7)). Nobody listens by it, so nobody can connect.
const serviceSocket = "@replypath"

func (c *namespaceLock) acquire(ctx context.Context) (err error) {
	if c.file, err = lockNamespaceFile(DefaultStateDir); err != nil {
		return err
	}
	c.socket, err = bindServiceSocket(ctx)
	return err
}

func (c *namespaceLock) release() {
	c.file.Close() // closing nothing does nothing
	c.socket.Close()
}

// lockNamespaceFile locks the file of this network namespace. Where there can be none it gives none: the name has to do.
func lockNamespaceFile(dir string) (*os.File, error) {
	number, err := NamespaceCookie()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fmt.Sprintf("service-%d.lock", number))
	err = os.MkdirAll(dir, 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim the network namespace: %w", err)
	}
	return flockNow(f)
}

// bindServiceSocket takes the service's name. Anybody may take a name, so one that root does not hold keeps nobody out, and neither
// does one of which the kernel does not tell the holder.
func bindServiceSocket(ctx context.Context) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("claim the network namespace: %w", err)
	}
	socket := os.NewFile(uintptr(fd), serviceSocket)
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: serviceSocket}); err == nil {
		return socket, nil
	}
	socket.Close()
	if !errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("claim the network namespace: %w", err)
	}
	if !ServiceRuns(ctx) {
		return nil, nil
	}
	return nil, errors.New("another replypath has this network namespace: see which: ss -xap src " + serviceSocket)
}

// ServiceRuns reports whether a service of root's has this network namespace, whatever folder it remembers things in.
func ServiceRuns(ctx context.Context) bool {
	uid, held, err := rtnl.UnixSocketOwner(ctx, serviceSocket)
	return err == nil && held && uid == 0
}
