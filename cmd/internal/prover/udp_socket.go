package prover

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"syscall"

	"replypath/health/proof"

	"golang.org/x/sys/unix"
)

// listenUDP returns a socket at the destination of the request that replies with its type of service and belongs to its user.
func listenUDP(q proof.Request) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) { err = setTOS(int(fd), q) })
		if err == nil {
			err = controlErr
		}
		return err
	}}
	listen := func() (net.PacketConn, error) { return config.ListenPacket(context.Background(), "udp", q.To.String()) }
	if q.UID != 0 {
		asRoot := listen
		listen = func() (net.PacketConn, error) { return asUser(q.UID, asRoot) }
	}
	socket, err := listen()
	if err != nil {
		return nil, err
	}
	return socket.(*net.UDPConn), nil
}

// setTOS sets the type of service of what the socket sends.
func setTOS(fd int, q proof.Request) error {
	switch {
	case q.TOS == 0:
		return nil
	case q.To.Addr().Is4():
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(q.TOS))
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(q.TOS))
}

// asUser calls listen on a thread whose files and sockets belong to the user. Without CAP_SETUID it fails.
func asUser(uid uint32, listen func() (net.PacketConn, error)) (net.PacketConn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(int(uid))
	if err != nil {
		return nil, fmt.Errorf("make a socket of user %d: %w", uid, err)
	}
	defer func() { _, _ = unix.SetfsuidRetUid(before) }()
	if now, _ := unix.SetfsuidRetUid(-1); uint32(now) != uid {
		return nil, fmt.Errorf("make a socket of user %d: %w", uid, unix.EPERM)
	}
	return listen()
}
