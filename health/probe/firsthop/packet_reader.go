package firsthop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	packetsPerRead = 32
	maxPacket      = 256 // octets of a packet that are read; the rest is discarded
	maxControl     = 128 // of its control messages
)

// packetReader reads several packets with one call (recvmmsg(2)). For one goroutine.
type packetReader struct {
	headers  [packetsPerRead]messageHeader
	parts    [packetsPerRead]unix.Iovec
	packets  [packetsPerRead][maxPacket]byte
	from     [packetsPerRead]unix.RawSockaddrLinklayer
	controls [packetsPerRead][maxControl]byte
}

// messageHeader is a struct mmsghdr.
type messageHeader struct {
	unix.Msghdr
	size uint32
}

// receivedPacket is a packet. It is valid until the next call.
type receivedPacket struct {
	data    []byte
	link    int    // the index of its interface, of a packet socket
	control []byte // its control messages
}

// readAll calls handle with the packets that are received together, until the socket is closed. handle must not keep them.
func readAll(raw syscall.RawConn, handle func([]receivedPacket)) {
	r := &packetReader{}
	all := make([]receivedPacket, 0, packetsPerRead)
	_ = raw.Read(func(fd uintptr) bool { // it returns when the socket is closed
		for {
			n, err := r.read(int(fd))
			switch {
			case err == unix.EAGAIN:
				return false
			case err != nil: // such as ENETDOWN of one of the interfaces: the next packet may be of another one
				continue
			}
			all = all[:0]
			for i := range n {
				h := &r.headers[i]
				all = append(all, receivedPacket{r.packets[i][:h.size], int(r.from[i].Ifindex), r.controls[i][:h.Controllen]})
			}
			handle(all)
		}
	})
}

// read receives the packets that are there, and returns their number. It never waits: a raw system call
// does not wake up the monitor of the runtime.
func (r *packetReader) read(fd int) (int, error) {
	for i := range r.headers {
		r.parts[i] = unix.Iovec{Base: &r.packets[i][0]}
		r.parts[i].SetLen(maxPacket)
		r.headers[i] = messageHeader{Msghdr: unix.Msghdr{Iov: &r.parts[i], Iovlen: 1, Name: (*byte)(unsafe.Pointer(&r.from[i])),
			Namelen: unix.SizeofSockaddrLinklayer, Control: &r.controls[i][0]}}
		r.headers[i].SetControllen(maxControl)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.headers[0])), packetsPerRead, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
