package rtnl

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Renamed returns the name of a link that another one has now than at the last read (SIOCGIFINDEX, netdevice(7)). It asks by a socket that
// is in the network namespace of the handle: sockets of rtnetlink take this request too (sock_do_ioctl in net/socket.c).
func (h *Handle) Renamed() (link string, renamed bool, err error) {
	for name, index := range h.linkIndexes {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = unix.IoctlIfreq(h.writer.socket, unix.SIOCGIFINDEX, r)
		}
		switch {
		case errors.Is(err, unix.ENODEV):
		case err != nil:
			return "", false, fmt.Errorf("find link %s: %w", name, os.NewSyscallError("ioctl", err))
		case int(r.Uint32()) != index:
			return name, true, nil
		}
	}
	return "", false, nil
}
