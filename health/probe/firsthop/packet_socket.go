package firsthop

import (
	"errors"
	"math/bits"
	"os"
	"syscall"
	"time"

	"replypath/health"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// packetSocket is a packet socket (packet(7)) on one interface, for one EtherType.
type packetSocket struct {
	file     *os.File
	raw      syscall.RawConn
	protocol uint16 // in network byte order
}

// openPacketSocket opens a socket on the path's interface. With the protocol 0 it receives nothing.
func openPacketSocket(p health.Path, protocol uint16) (*packetSocket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &packetSocket{file: os.NewFile(uintptr(fd), "packet"), protocol: bits.ReverseBytes16(protocol)}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: s.protocol, Ifindex: p.Index}); err != nil {
		s.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the socket.
func (s *packetSocket) Close() error { return s.file.Close() }

// hardwareAddr returns the interface's current Ethernet address, or nil when its type has none.
func (s *packetSocket) hardwareAddr() (address []byte, err error) {
	closed := s.raw.Control(func(fd uintptr) {
		var name unix.Sockaddr
		if name, err = unix.Getsockname(int(fd)); err != nil {
			return
		}
		if link, ok := name.(*unix.SockaddrLinklayer); ok && link.Hatype == unix.ARPHRD_ETHER && link.Halen == hardwareAddrLen {
			address = append([]byte(nil), link.Addr[:hardwareAddrLen]...)
		}
	})
	return address, errors.Join(closed, os.NewSyscallError("getsockname", err))
}

// SetReadDeadline sets the time at which probe stops waiting.
func (s *packetSocket) SetReadDeadline(then time.Time) error { return s.file.SetReadDeadline(then) }

func (s *packetSocket) drain() error {
	return errors.Join(s.file.SetReadDeadline(time.Time{}), drain(s.raw))
}

// maxDrained bounds the packets that drain discards: more than a receive buffer holds.
const maxDrained = 10_000

// drain discards the packets in the socket's receive buffer.
func drain(raw syscall.RawConn) error {
	var err error
	var buffer [1]byte
	closed := raw.Control(func(fd uintptr) {
		for range maxDrained {
			if _, _, err = unix.Recvfrom(int(fd), buffer[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC); err == unix.EAGAIN {
				err = nil
				return
			} else if err != nil && err != unix.EINTR {
				return
			}
		}
		err = unix.ENOBUFS // packets arrive as fast as they are discarded
	})
	return errors.Join(closed, os.NewSyscallError("recvfrom", err))
}

// attachFilter attaches a classic BPF program to the socket.
func (s *packetSocket) attachFilter(program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	var err error
	closed := s.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
	return errors.Join(closed, os.NewSyscallError("setsockopt", err))
}

// broadcast sends a frame to the Ethernet broadcast address.
func (s *packetSocket) broadcast(index int, data []byte) error {
	to := &unix.SockaddrLinklayer{Protocol: s.protocol, Ifindex: index, Halen: hardwareAddrLen}
	for i := range hardwareAddrLen {
		to.Addr[i] = 0xff
	}
	var err error
	closed := s.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), data, 0, to)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	return errors.Join(closed, os.NewSyscallError("sendto", err))
}

func (s *packetSocket) receive(buffer []byte) (n int, err error) {
	closed := s.raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), buffer, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if closed != nil {
		return 0, closed
	}
	return n, os.NewSyscallError("recvfrom", err)
}
