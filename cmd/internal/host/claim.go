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

// Folder is where things are remembered unless another one is named, and where services lock their network namespace
// whatever folder they remember things in. Only root may look into it.
const Folder = "/run/replypath"

// claim is a service's hold on its network namespace, in two ways, as each alone has a gap: the lock on a file is not
// seen from another mount namespace, and the name may be an ordinary user's.
type claim struct {
	file, name *os.File
}

// serviceName is an abstract unix name: the kernel gives it once in a network namespace, and takes it back when its holder
// dies (unix(7)). Nobody listens by it, so nobody can connect.
const serviceName = "@replypath"

func (c *claim) take(ctx context.Context) (err error) {
	if c.file, err = lockNamespace(Folder); err != nil {
		return err
	}
	c.name, err = takeName(ctx)
	return err
}

func (c *claim) release() {
	c.file.Close() // closing nothing does nothing
	c.name.Close()
}

// lockNamespace locks the file of this network namespace. Where there can be none it gives none: the name has to do.
func lockNamespace(dir string) (*os.File, error) {
	number, err := Namespace()
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
	return alone(f)
}

// takeName takes the service's name. Anybody may take a name, so one that root does not hold keeps nobody out, and neither
// does one of which the kernel does not tell the holder.
func takeName(ctx context.Context) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("claim the network namespace: %w", err)
	}
	name := os.NewFile(uintptr(fd), serviceName)
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: serviceName}); err == nil {
		return name, nil
	}
	name.Close()
	if !errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("claim the network namespace: %w", err)
	}
	if !Claimed(ctx) {
		return nil, nil
	}
	return nil, errors.New("another replypath has this network namespace: see which: ss -xap src " + serviceName)
}

// Claimed reports whether a service of root's has this network namespace, whatever folder it remembers things in.
func Claimed(ctx context.Context) bool {
	uid, held, err := rtnl.NameHolder(ctx, serviceName)
	return err == nil && held && uid == 0
}
