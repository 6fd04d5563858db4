package socket

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// Dialer opens connections that leave by the path: by its mark and so its table, and by its link alone. The mark chooses
// the route; the binding to the link refuses an answer that comes in by another one.
//
// Whoever asks speaks first, and so its first packet with data is its acknowledgement too.
func Dialer(p health.Path) *net.Dialer { return newDialer(p, disableQuickAck) }

// ResetDialer is a Dialer of connections that are closed at once. They end with the answer to their first packet, by a reset
// instead of an acknowledgement: the service does not get to see them, and no connection table on the way keeps them for
// minutes.
func ResetDialer(p health.Path) *net.Dialer {
	return newDialer(p, disableQuickAck, func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	})
}

func newDialer(p health.Path, options ...func(fd int) error) *net.Dialer {
	options = append(options, func(fd int) error { return setMark(fd, p) }, func(fd int) error { return bindToLink(fd, p) })
	d := &net.Dialer{KeepAlive: -1, FallbackDelay: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			for _, set := range options {
				if err := set(fd); err != nil {
					return err
				}
			}
			return nil
		})
	}}
	d.SetMultipathTCP(false)
	return d
}

// MarkDialer opens connections that wear the path's mark and nothing else: they leave by the path, except to what main
// knows by an interface that is no uplink, such as a name server inside.
func MarkDialer(p health.Path) *net.Dialer {
	return &net.Dialer{KeepAlive: -1, FallbackDelay: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return setMark(fd, p) })
	}}
}

// BindControl restricts a socket to the path's link, in both directions.
func BindControl(p health.Path) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return bindToLink(fd, p) })
	}
}

// disableQuickAck keeps the answer to a connection's first packet from being acknowledged by a packet of its own.
func disableQuickAck(fd int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
}

func setMark(fd int, p health.Path) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(p.Mark)); err != nil {
		return fmt.Errorf("set the mark %s: %w", p.Mark, err)
	}
	return nil
}

// bindToLink binds by index, not by name: a link that was made again under the same name is another one. To the kernel the
// index 0 is any link.
func bindToLink(fd int, p health.Path) error {
	if p.Index == 0 {
		return fmt.Errorf("bind to %s: %w", p.Link, unix.ENODEV)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, p.Index); err != nil {
		return fmt.Errorf("bind to %s: %w", p.Link, err)
	}
	return nil
}

func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if closed := c.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return closed
	}
	return err
}
