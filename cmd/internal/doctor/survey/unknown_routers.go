package survey

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"os"
	"slices"
	"time"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks"
	"replypath/uplinks/egress"

	"golang.org/x/sys/unix"
)

const (
	// listenTime is how long the frames of links with several uplinks are read, and maxFrames how many at a time.
	listenTime = time.Second
	maxFrames  = 20_000
)

// readUnknownRouters listens on the links with several uplinks for packets that a router forwards which is none of their own. It
// passes over a link with a router whose hardware address is not known: that router would be reported.
func (c *collector) readUnknownRouters() error {
	known := map[string]map[string]bool{} // by link: raw hardware addresses
	for _, r := range c.Settings.SharedRouters(c.result.Facts) {
		if c.Settings.FindsRoutersOn(r.Link) {
			continue
		}
		if _, started := known[r.Link]; !started {
			known[r.Link] = map[string]bool{}
		}
		if !c.addRouterMACs(known[r.Link], r) {
			known[r.Link] = nil
		}
	}
	var listeners []*frameListener
	defer func() {
		for _, l := range listeners {
			unix.Close(l.fd)
		}
	}()
	for name, macs := range known {
		l := c.result.Facts.Links[name]
		if macs == nil || !l.Up {
			continue
		}
		for _, family := range c.result.Facts.Families() {
			listener, err := listenOn(l, family, macs)
			if err != nil {
				return fmt.Errorf("listen on %s: %w", name, err)
			}
			listeners = append(listeners, listener)
		}
	}
	found, err := readFrames(listeners, time.Now().Add(listenTime))
	c.result.UnknownRouters = found
	return err
}

// addRouterMACs adds the hardware addresses of the uplink's routers, and reports whether all are known.
func (c *collector) addRouterMACs(macs map[string]bool, r uplinks.RouterAddrs) bool {
	if macs == nil {
		return false
	}
	all := len(r.Addrs) > 0
	for _, a := range r.Addrs {
		n, found := c.result.Egress.FindNeighbour(c.result.Facts.Links[r.Link].Index, a)
		macs[n.MAC] = true
		all = all && found && n.State.Valid()
	}
	named := false
	for _, u := range c.Settings.Uplinks {
		for _, text := range u.MACs {
			if u.Name == r.Uplink {
				macs[egress.RawMAC(text)], named = true, true
			}
		}
	}
	return all || named
}

// frameListener receives the packets of one family that come in by a link.
type frameListener struct {
	fd    int
	link  uplinks.Link
	known map[string]bool
}

// listenOn opens a listener. Beside what is addressed to this host it reads nothing.
func listenOn(l uplinks.Link, family uplinks.Family, known map[string]bool) (*frameListener, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	etherType := uint16(unix.ETH_P_IP)
	if family == uplinks.IPv6 {
		etherType = unix.ETH_P_IPV6
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(etherType), Ifindex: l.Index})
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return &frameListener{fd, l, known}, nil
}

// readFrames reads what arrives until the deadline, and returns the senders that forward it and are not known.
func readFrames(listeners []*frameListener, deadline time.Time) (found []doctor.UnknownRouter, err error) {
	if len(listeners) == 0 {
		return nil, nil
	}
	polled := make([]unix.PollFd, len(listeners))
	for i, l := range listeners {
		polled[i] = unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN}
	}
	for left := time.Until(deadline); ; left = time.Until(deadline) {
		if _, err := unix.Poll(polled, max(0, int(left.Milliseconds()))+1); err != nil && !errors.Is(err, unix.EINTR) {
			return found, os.NewSyscallError("poll", err)
		}
		for i, l := range listeners {
			found = l.read(found)
			if polled[i].Revents&unix.POLLERR != 0 { // the link has gone down
				polled[i].Fd = -1
			}
		}
		if left <= 0 {
			return found, nil
		}
	}
}

// read adds what the listener has received.
func (l *frameListener) read(found []doctor.UnknownRouter) []doctor.UnknownRouter {
	var packet [40]byte // the header of IPv6
	for range maxFrames {
		n, from, err := unix.Recvfrom(l.fd, packet[:], unix.MSG_DONTWAIT)
		if err != nil {
			return found
		}
		sender, is := from.(*unix.SockaddrLinklayer)
		if !is || sender.Pkttype != unix.PACKET_HOST || int(sender.Halen) != 6 {
			continue
		}
		mac, source := string(sender.Addr[:6]), sourceOf(packet[:n])
		if l.known[mac] || !source.IsValid() || source.IsUnspecified() || l.link.IsOnLink(source) {
			continue
		}
		i := slices.IndexFunc(found, func(r doctor.UnknownRouter) bool { return r.Link == l.link.Name && r.MAC == mac })
		if i < 0 {
			found = append(found, doctor.UnknownRouter{Link: l.link.Name, MAC: mac, From: source})
			i = len(found) - 1
		}
		found[i].Frames++
	}
	return found
}

// sourceOf returns the source of a packet, the zero Addr if it has none.
func sourceOf(packet []byte) netip.Addr {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(packet[12:16]))
	case len(packet) >= 40 && packet[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(packet[8:24]))
	}
	return netip.Addr{}
}
