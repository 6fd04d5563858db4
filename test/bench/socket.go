package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	"replypath/test/world"
)

// listen opens a listening socket on the host. Its calls block: nothing of Go's comes between it and the kernel.
func listen(h *world.Host, at netip.AddrPort) (fd int) {
	var err error
	h.Do(func() { fd, err = unix.Socket(domain(at.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
	must(err, "%s: socket", h.Name)
	must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), "%s: socket", h.Name)
	must(unix.Bind(fd, sockaddr(at)), "%s: bind to %s", h.Name, at)
	must(unix.Listen(fd, 128), "%s: listen on %s", h.Name, at)
	return fd
}

// dial connects from one of the host's addresses.
func dial(h *world.Host, from netip.Addr, to netip.AddrPort) (fd int, err error) {
	h.Do(func() { fd, err = unix.Socket(domain(from), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
		return 0, fmt.Errorf("bind to %s: %w", from, err)
	}
	limit := unix.NsecToTimeval(int64(patience))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			return 0, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return 0, fmt.Errorf("connect to %s: %w", to, err)
	}
	noDelay(fd)
	return fd, nil
}

// hangUp closes with a reset, which leaves nothing behind.
func hangUp(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

func noDelay(fd int) { unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

func domain(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// onCPU runs f on that CPU, on a thread that ends with it.
func onCPU(cpu int, f func()) {
	runtime.LockOSThread()
	var one unix.CPUSet
	one.Set(cpu)
	must(unix.SchedSetaffinity(0, &one), "run on CPU %d", cpu)
	f()
}

// usableCPUs returns those that this process may run on.
func usableCPUs() (cpus []int) {
	var set unix.CPUSet
	must(unix.SchedGetaffinity(0, &set), "read the CPU affinity")
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// processTime returns the CPU time of this process.
func processTime() time.Duration {
	var now unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &now), "read the CPU time")
	return time.Duration(now.Nano())
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
