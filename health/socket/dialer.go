package socket

import (
	"fmt"
	"net"
	"syscall"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// Dialer opens connections that leave by the path: by its mark and so its table, from its source, and by its link
// alone. The mark chooses the route; the binding to the link refuses an answer that comes in by another one.
func Dialer(p health.Path) *net.Dialer {
	d := &net.Dialer{KeepAlive: -1, FallbackDelay: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			if err := mark(fd, p); err != nil {
				return err
			}
			return bind(fd, p)
		})
	}}
	d.SetMultipathTCP(false)
	if p.Source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: p.Source.AsSlice(), Zone: p.Source.Zone()}
	}
	return d
}

// Marked opens connections that wear the path's mark and nothing else: they leave by the path, except to what main
// knows by an interface that is no uplink, such as a name server inside.
func Marked(p health.Path) *net.Dialer {
	return &net.Dialer{KeepAlive: -1, FallbackDelay: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return mark(fd, p) })
	}}
}

// Bound restricts a socket to the path's link, in both directions.
func Bound(p health.Path) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return bind(fd, p) })
	}
}

func mark(fd int, p health.Path) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(p.Mark)); err != nil {
		return fmt.Errorf("set the mark %s: %w", p.Mark, err)
	}
	return nil
}

// bind binds by index, not by name: a link that was made again under the same name is another one. To the kernel the
// index 0 is any link.
func bind(fd int, p health.Path) error {
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
