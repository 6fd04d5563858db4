package world

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readyTime bounds the wait for the kernel to take note of a carrier.
const readyTime = time.Minute

// await returns when the link, if it has a carrier, can send. Between the two the kernel drops what is sent, without
// a word. Since Linux 6.8 a query for the link makes the kernel take note; before, it does so in its own time.
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

// awaitAddr returns when neighbours can resolve an IPv6 address. Until then the link has not joined the group to which
// they send their solicitations, and loses them; the kernel shows that the address is tentative, unless it was added
// with "nodad", which hides the wait and does not spare it. A link that is down does not get that far.
func (l *Link) awaitAddr(a netip.Addr) {
	l.Host.world.tb.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		flags, err := l.flags()
		l.Host.must(err, "link %s", l.Name)
		tentative, err := l.tentative(a)
		l.Host.must(err, "addr list dev %s", l.Name)
		if flags&unix.IFF_RUNNING == 0 || !tentative {
			return
		}
		if time.Since(began) > readyTime {
			l.Host.world.tb.Fatalf("host %s: address %s on %s stays tentative", l.Host.Name, a, l.Name)
		}
	}
}

func (l *Link) tentative(a netip.Addr) (bool, error) {
	have, err := l.Host.rtnl.AddrList(l.handle(), unix.AF_INET6)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return true, nil // to be read again
	}
	return slices.ContainsFunc(have, func(h netlink.Addr) bool {
		return h.IP.Equal(a.AsSlice()) && h.Flags&unix.IFA_F_TENTATIVE != 0
	}), err
}

// flags returns the link's flags; none when it is gone.
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
