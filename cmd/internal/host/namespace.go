package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// NamespaceCookie is a number that no other network namespace has or will have until the host boots again (socket(7),
// SO_NETNS_COOKIE, Linux 5.14).
func NamespaceCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err == nil {
		return cookie, nil
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("tell the network namespace: %w", err)
	}
	return st.Ino, nil
}
