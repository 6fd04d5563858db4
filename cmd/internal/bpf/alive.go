package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Guard tells the programs that a service watches the addresses, until Close or the end of the process, however it ends: the
// kernel takes a socket that is closed out of the map alive.
func (u *UDP) Guard() error {
	m, err := u.loadMap(aliveMap)
	if err != nil {
		return err
	}
	defer m.Close()
	var cookie uint64
	if err := m.Lookup(uint32(0), &cookie); err == nil && u.guard != nil {
		return nil
	} else if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read the map %s: %w", u.pin(aliveMap), err)
	}
	if u.guard == nil {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("make a socket for the map %s: %w", u.pin(aliveMap), err)
		}
		u.guard = pair[:]
	}
	if err := m.Put(uint32(0), uint64(u.guard[0])); err != nil {
		return fmt.Errorf("write the map %s: %w", u.pin(aliveMap), err)
	}
	return nil
}

// Close ends Guard. What is pinned stays.
func (u *UDP) Close() {
	for _, fd := range u.guard {
		unix.Close(fd)
	}
	u.guard = nil
}
