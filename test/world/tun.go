package world

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// JoinTun connects two hosts by tun devices, one on each, and sets both up. In place of a wire this program carries the
// packets, as a VPN's does; they have no Ethernet header.
func (w *World) JoinTun(a *Host, nameA string, b *Host, nameB string) (*Link, *Link) {
	w.tb.Helper()
	endA, fileA := a.tun(nameA)
	endB, fileB := b.tun(nameB)
	w.start(func() { carry(fileA, fileB) })
	w.start(func() { carry(fileB, fileA) })
	w.atEnd(func() {
		fileA.Close()
		fileB.Close()
	})
	return endA, endB
}

// tun makes a tun device, and the file through which its packets go.
func (h *Host) tun(name string) (*Link, *os.File) {
	h.world.tb.Helper()
	var file *os.File
	var err error
	h.Do(func() { file, err = openTun(name) })
	h.must(err, "add tun %s", name)
	l := h.adopt(name)
	l.Up()
	return l, file
}

func openTun(name string) (*os.File, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUNSETIFF: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// carry passes packets on until a file is closed.
func carry(from, to *os.File) {
	packet := make([]byte, 64<<10)
	for {
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		to.Write(packet[:n]) // what is not taken is lost, as on any wire
	}
}
