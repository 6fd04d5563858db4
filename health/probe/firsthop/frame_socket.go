package firsthop

import (
	"bytes"
	"math/bits"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// hardwareAddrLen is the length of a hardware address.
const hardwareAddrLen = 6

// frameSocket is a packet socket (packet(7)) that sends and receives on all interfaces. Safe for concurrent use.
type frameSocket struct {
	file *os.File
	raw  syscall.RawConn
}

// receiveBuffer holds the replies of many gateways at once.
const receiveBuffer = 1 << 20

// openFrameSocket opens a socket that receives packets with the EtherType which the filter selects; 0: none.
func openFrameSocket(etherType uint16, filter []bpf.Instruction) (*frameSocket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &frameSocket{file: os.NewFile(uintptr(fd), "packet")}
	if etherType != 0 {
		err = bindToEtherType(fd, etherType, filter)
	}
	if err == nil {
		s.raw, err = s.file.SyscallConn()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// bindToEtherType makes the socket receive what the filter selects. It receives nothing before.
func bindToEtherType(fd int, etherType uint16, filter []bpf.Instruction) error {
	program, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(program))
	for i, in := range program {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := growReceiveBuffer(fd); err != nil {
		return err
	}
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(etherType)}))
}

// growReceiveBuffer makes room for receiveBuffer bytes, or for as many as the sysctl rmem_max allows without the privilege.
func growReceiveBuffer(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	if err == unix.EPERM {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return os.NewSyscallError("setsockopt", err)
}

// Close closes the socket.
func (s *frameSocket) Close() error { return s.file.Close() }

// hardwareAddr returns the interface's current Ethernet address, or nil when its type has none (SIOCGIFHWADDR, netdevice(7)).
func (s *frameSocket) hardwareAddr(link string) (address []byte, err error) {
	var request struct {
		name    [unix.IFNAMSIZ]byte
		kind    uint16
		address [22]byte
	}
	if len(link) >= len(request.name) {
		return nil, unix.ENODEV
	}
	copy(request.name[:], link)
	var errno unix.Errno
	closed := s.raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SIOCGIFHWADDR, uintptr(unsafe.Pointer(&request)))
	})
	if errno != 0 {
		return nil, os.NewSyscallError("ioctl", errno)
	}
	if request.kind == unix.ARPHRD_ETHER {
		address = bytes.Clone(request.address[:hardwareAddrLen])
	}
	return address, closed
}

// use calls f with an output of the socket, unless that is closed.
func (s *frameSocket) use(f func(*frameOutput)) error {
	return s.raw.Control(func(fd uintptr) { f(&frameOutput{fd: int(fd)}) })
}

// frameOutput sends packets by a frameSocket while that is in use. For one goroutine.
type frameOutput struct {
	fd          int
	destination unix.RawSockaddrLinklayer
}

// send sends a packet by the interface with that index, to a hardware address; nil where links have none. It returns EAGAIN when the
// packets that were sent before, and that no interface has taken yet, fill the send buffer. It never waits: a raw system
// call does not wake up the monitor of the runtime.
func (o *frameOutput) send(index int, etherType uint16, to, packet []byte) error {
	d := &o.destination
	*d = unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: bits.ReverseBytes16(etherType), Ifindex: int32(index), Halen: uint8(len(to))}
	copy(d.Addr[:], to)
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(o.fd), uintptr(unsafe.Pointer(unsafe.SliceData(packet))), uintptr(len(packet)), unix.MSG_DONTWAIT,
			uintptr(unsafe.Pointer(d)), unix.SizeofSockaddrLinklayer)
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}
