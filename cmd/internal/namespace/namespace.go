// Package namespace identifies the network namespace of the calling process.
package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Cookie returns a number that identifies the network namespace and is not used again before the next boot (socket(7),
// SO_NETNS_COOKIE, Linux 5.14). Older kernels give the inode number of the namespace, which may be used again.
func Cookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("identify the network namespace: open a socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err == nil {
		return cookie, nil
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("identify the network namespace: %w", err)
	}
	return st.Ino, nil
}

// IsInitial reports whether this is the network namespace of process 1. It compares files below /proc/PID/net, which
// belong to a namespace: unlike /proc/PID/ns they are readable without CAP_SYS_PTRACE. Without access to process 1 the
// answer is false.
func IsInitial() (bool, error) {
	first, err := os.Stat("/proc/1/net/dev")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("identify the network namespace: %w", err)
	}
	own, err := os.Stat("/proc/thread-self/net/dev")
	if err != nil {
		return false, fmt.Errorf("identify the network namespace: %w", err)
	}
	return os.SameFile(first, own), nil
}
