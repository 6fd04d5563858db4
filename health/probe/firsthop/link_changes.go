package firsthop

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkChanges notices that a link has changed (rtnetlink(7)), in the network namespace in which it was opened. The kernel queues the
// event before the command that makes the change returns. Not safe for concurrent use.
type linkChanges struct {
	file *os.File
	raw  syscall.RawConn
}

// openLinkChanges opens a socket that receives the events of links.
func openLinkChanges() (*linkChanges, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	c := &linkChanges{file: os.NewFile(uintptr(fd), "netlink")}
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// seen reports whether a link may have changed since the last call. Events are not read one by one: any is reason enough.
func (c *linkChanges) seen() (changed bool) {
	var buffer [64]byte // the rest of an event is discarded
	closed := c.raw.Control(func(fd uintptr) {
		for {
			// It never waits: a raw system call does not wake up the monitor of the runtime.
			_, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&buffer)), unsafe.Sizeof(buffer), unix.MSG_DONTWAIT, 0, 0)
			switch err {
			case unix.EAGAIN:
				return
			case unix.EINTR:
			default: // an event, or ENOBUFS: some were lost
				changed = true
			}
			if err != 0 && err != unix.EINTR && err != unix.ENOBUFS {
				return
			}
		}
	})
	return changed || closed != nil
}

// Close closes the socket.
func (c *linkChanges) Close() error { return c.file.Close() }
