package world

import (
	"errors"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readyTime bounds the wait for the kernel to take note of a carrier.
const readyTime = 5 * time.Second

// await returns when the link, if it has a carrier, can send. Between the two the kernel drops what is sent, without
// a word. Since Linux 6.8 asking for the link makes the kernel take note; before, it does so in its own time.
func (l *Link) await() {
	l.Host.world.tb.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		flags, err := l.flags()
		l.Host.must(err, "link %s", l.Name)
		if flags&unix.IFF_LOWER_UP == 0 || flags&unix.IFF_RUNNING != 0 {
			return
		}
		if time.Since(began) > readyTime {
			l.Host.world.tb.Fatalf("host %s: link %s has a carrier and does not run", l.Host.Name, l.Name)
		}
	}
}

// flags are the link's flags; none when it is gone.
func (l *Link) flags() (uint32, error) {
	found, err := l.Host.rtnl.LinkByIndex(l.Index)
	if gone := (netlink.LinkNotFoundError{}); errors.As(err, &gone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return found.Attrs().RawFlags, nil
}
