package host

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"os"
	"unsafe"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// frameBuffer is the size of the receive buffer of a FrameSocket: what does not fit is dropped by the kernel before it is copied.
const frameBuffer = 64 << 10

// FrameSocket receives the start of the frames of one family that come in by a link, from others than known senders. It is closed by
// another goroutine than the reader's.
type FrameSocket struct {
	family uplinks.Family
	file   *os.File
}

// OpenFrameSocket opens a socket for the link with that index. Frames from the hardware addresses in known, and packets whose
// sender is in one of the prefixes, are dropped by the kernel.
func OpenFrameSocket(link int, family uplinks.Family, known []string, near []netip.Prefix) (*FrameSocket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) // of no protocol: it receives nothing yet
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	s := &FrameSocket{family: family, file: os.NewFile(uintptr(fd), "packet socket")}
	etherType := uint16(unix.ETH_P_IP)
	if family == uplinks.IPv6 {
		etherType = unix.ETH_P_IPV6
	}
	err = errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, frameBuffer)),
		s.Filter(known, near),
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(etherType), Ifindex: link})),
	)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("listen for frames on link %d: %w", link, err)
	}
	return s, nil
}

// Filter replaces what the kernel drops.
func (s *FrameSocket) Filter(known []string, near []netip.Prefix) error {
	var ofFamily []netip.Prefix
	for _, p := range near {
		if uplinks.FamilyOf(p.Addr()) == s.family {
			ofFamily = append(ofFamily, p)
		}
	}
	program := frameFilter(known, ofFamily)
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)}
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	bad := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter))
	})
	return errors.Join(bad, err)
}

// Read reads the start of the next frame. It returns os.ErrClosed once the socket is closed, and passes over the errors of a link that
// goes down.
func (s *FrameSocket) Read() ([]byte, error) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, frameSize)
	n := 0
	for {
		bad := raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), buffer, 0)
			return !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case bad != nil:
			return nil, bad
		case err == nil:
			return buffer[:n], nil
		case !errors.Is(err, unix.ENETDOWN) && !errors.Is(err, unix.EINTR):
			return nil, os.NewSyscallError("recvfrom", err)
		}
	}
}

// Close ends a Read.
func (s *FrameSocket) Close() error { return s.file.Close() }
