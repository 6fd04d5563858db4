package socket

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// Dialer returns a dialer whose connections use the path in both directions. The path's mark selects the route; the binding to
// its interface drops packets that arrive on another one.
//
// The client of a probe sends first, so its handshake's ACK is left to its first packet with data.
func Dialer(p health.Path) *net.Dialer { return newDialer(p, disableQuickAck) }

// ResetDialer returns a dialer for connections that are closed at once. Close replies to the SYN-ACK with a RST in place of the
// ACK: the service never accepts the connection, and stateful firewalls on the way drop their entries for it.
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

// MarkDialer returns a dialer whose connections have the path's mark and are not bound to its interface. They use the path,
// except to destinations that table main reaches through an interface that is not an uplink, such as a name server in the LAN.
func MarkDialer(p health.Path) *net.Dialer {
	return &net.Dialer{KeepAlive: -1, FallbackDelay: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return setMark(fd, p) })
	}}
}

// disableQuickAck delays the ACK of the SYN-ACK (tcp(7), TCP_QUICKACK).
func disableQuickAck(fd int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
}

func setMark(fd int, p health.Path) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(p.Mark)); err != nil {
		return fmt.Errorf("set the mark %s: %w", p.Mark, err)
	}
	return nil
}

// bindToLink binds the socket to the index of the path's interface: one that was recreated under the same name is another
// interface. The kernel takes the index 0 for no binding.
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
