package firsthop

import (
	"context"
	"errors"
	"math/bits"
	"os"
	"syscall"
	"time"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// packet is a packet socket (packet(7)) on one link, for one protocol above Ethernet.
type packet struct {
	file     *os.File
	raw      syscall.RawConn
	protocol uint16 // as the wire has it
	hardware []byte // the link's own address; empty: links of its kind have none
}

func open(p health.Path, protocol uint16) (*packet, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &packet{file: os.NewFile(uintptr(fd), "packet"), protocol: bits.ReverseBytes16(protocol)}
	if err := s.bind(fd, p.Index); err != nil {
		s.file.Close()
		return nil, err
	}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// bind restricts the socket to the link, whose address the kernel tells in return.
func (s *packet) bind(fd, index int) error {
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: s.protocol, Ifindex: index}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	if link, ok := name.(*unix.SockaddrLinklayer); ok && link.Hatype == unix.ARPHRD_ETHER && link.Halen == ethernet {
		s.hardware = append([]byte(nil), link.Addr[:ethernet]...)
	}
	return nil
}

// until ends the wait for an answer when ctx is done.
func (s *packet) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }) // it may be closed
}

// broadcast sends to everybody on the link.
func (s *packet) broadcast(index int, data []byte) error {
	to := &unix.SockaddrLinklayer{Protocol: s.protocol, Ifindex: index, Halen: ethernet}
	for i := range ethernet {
		to.Addr[i] = 0xff
	}
	var err error
	closed := s.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), data, 0, to)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	return errors.Join(closed, os.NewSyscallError("sendto", err))
}

func (s *packet) receive(buffer []byte) (n int, err error) {
	closed := s.raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), buffer, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if closed != nil {
		return 0, closed
	}
	return n, os.NewSyscallError("recvfrom", err)
}
