package world

import (
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// NetnsCookie returns the number of the network namespace of the calling thread by which programs name what is of it alone (socket(7),
// SO_NETNS_COOKIE).
func NetnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}

// NetnsCookie returns the number of the host's network namespace.
func (h *Host) NetnsCookie() (cookie uint64) {
	h.world.tb.Helper()
	var err error
	if h.Do(func() { cookie, err = NetnsCookie() }); err != nil {
		h.world.tb.Fatalf("the network namespace of %s: %v", h.Name, err)
	}
	return cookie
}

// Pins returns what is pinned for the links of the host, at the hook "ingress" or "egress", under names that begin so.
func (h *Host) Pins(hook, name string) []string {
	h.world.tb.Helper()
	pins, err := filepath.Glob(filepath.Join(bpfFolder, "replypath", hook+"-"+strconv.FormatUint(h.NetnsCookie(), 10), name+"*"))
	if err != nil {
		h.world.tb.Fatalf("the pins of %s: %v", h.Name, err)
	}
	return pins
}
