package world

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a kernel socket of a host that sends and receives whole messages, and waits in Go's poller.
type socket struct {
	file *os.File
	raw  syscall.RawConn
}

// message is what a socket received.
type message struct {
	data, control []byte // parts of the caller's buffers
	from          unix.Sockaddr
}

func (h *Host) socket(family, kind, proto int) (s *socket, err error) {
	var fd int
	h.Do(func() { fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto) })
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s = &socket{file: os.NewFile(uintptr(fd), "socket")}
	s.raw, err = s.file.SyscallConn()
	return s, err
}

// control does something with the socket's descriptor.
func (s *socket) control(f func(fd int) error) error {
	var err error
	if closed := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return closed
	}
	return err
}

func (s *socket) set(level, option, value int) error {
	return s.control(func(fd int) error { return unix.SetsockoptInt(fd, level, option, value) })
}

func (s *socket) bind(to unix.Sockaddr) error {
	return s.control(func(fd int) error { return unix.Bind(fd, to) })
}

func (s *socket) connect(to unix.Sockaddr) error {
	return s.control(func(fd int) error { return unix.Connect(fd, to) })
}

// receive waits for a message. What does not fit the buffer is cut off.
func (s *socket) receive(buffer, control []byte) (m message, err error) {
	closed := s.raw.Read(func(fd uintptr) bool {
		var n, cn int
		n, cn, _, m.from, err = unix.Recvmsg(int(fd), buffer, control, 0)
		if err != nil {
			return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
		}
		m.data, m.control = buffer[:n], control[:cn]
		return true
	})
	switch {
	case errors.Is(closed, os.ErrDeadlineExceeded):
		return message{}, closed
	case closed != nil:
		return message{}, os.ErrClosed
	}
	return m, err
}

func (s *socket) send(data, control []byte, to unix.Sockaddr) (err error) {
	closed := s.raw.Write(func(fd uintptr) bool {
		err = unix.Sendmsg(int(fd), data, control, to, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if closed != nil {
		return closed
	}
	return err
}

// until bounds the wait of the next receive.
func (s *socket) until(t time.Time) { s.file.SetReadDeadline(t) }

func (s *socket) close() { s.file.Close() }
