package firsthop

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// linkSources are the IPv6 addresses that solicitations are sent from: the link-local address of the interface, which every gateway
// can reply to, else another one. Safe for concurrent use.
type linkSources struct {
	mu     sync.Mutex
	file   *os.File // of the addresses, in the network namespace of the first reading
	read   time.Time
	byLink map[int]netip.Addr
	doubts map[int]bool // interfaces whose gateway did not reply since
}

const (
	// sourcesAge is how long the addresses are used before they are read again.
	sourcesAge = 10 * time.Second
	// sourcesPause is the time between two readings for interfaces without an address, or whose gateway is silent.
	sourcesPause = 500 * time.Millisecond
)

// get returns the source for the path.
func (s *linkSources) get(p *health.Path) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.byLink[p.Index]
	if age := time.Since(s.read); age > sourcesAge || (!found || s.doubts[p.Index]) && age > sourcesPause {
		all, err := s.readAll()
		if err != nil {
			return netip.Addr{}, err
		}
		s.byLink, s.doubts, s.read = all, map[int]bool{}, time.Now()
	}
	a, found := s.byLink[p.Index]
	switch {
	case found:
		return a, nil
	case p.Source.Is6():
		return p.Source, nil
	}
	return a, unix.ENETUNREACH // as from the kernel, when the link is down or IPv6 is disabled
}

// invalidate makes a later probe by the interface read its address again.
func (s *linkSources) invalidate(index int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubts != nil {
		s.doubts[index] = true
	}
}

// Flags of an address in /proc/net/if_inet6 (linux/if_addr.h).
const (
	unusable = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED
)

// readAll reads the addresses of all interfaces by their indices.
func (s *linkSources) readAll() (map[int]netip.Addr, error) {
	if s.file == nil {
		file, err := os.Open("/proc/thread-self/net/if_inet6")
		if err != nil {
			return nil, fmt.Errorf("read the IPv6 addresses: %w", err)
		}
		s.file = file
	}
	text, err := readNow(int(s.file.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read the IPv6 addresses: %w", err)
	}
	all := map[int]netip.Addr{}
	for line := range strings.Lines(string(text)) {
		index, a, ok := parseLinkAddr(line)
		if _, found := all[index]; ok && (!found || a.IsLinkLocalUnicast()) {
			all[index] = a
		}
	}
	return all, nil
}

// readNow reads a file that never waits: a raw system call does not wake up the monitor of the runtime.
func readNow(fd int) (text []byte, err error) {
	var buffer [4096]byte
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&buffer)), unsafe.Sizeof(buffer), uintptr(len(text)), 0, 0)
		if errno != 0 {
			return nil, os.NewSyscallError("pread", errno)
		}
		if n == 0 {
			return text, nil
		}
		text = append(text, buffer[:n]...)
	}
}

// close closes the file. No probe may be running.
func (s *linkSources) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// parseLinkAddr reads a line of /proc/net/if_inet6: address, index, prefix length, scope, flags and name of the interface, all but
// the name in hexadecimal. ok is false for addresses that cannot be used.
func parseLinkAddr(line string) (index int, a netip.Addr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return 0, a, false
	}
	raw, err := hex.DecodeString(fields[0])
	if err != nil {
		return 0, a, false
	}
	number, err := strconv.ParseUint(fields[1], 16, 31)
	if err != nil {
		return 0, a, false
	}
	flags, err := strconv.ParseUint(fields[4], 16, 32)
	if err != nil || flags&unusable != 0 {
		return 0, a, false
	}
	a, ok = netip.AddrFromSlice(raw)
	return int(number), a, ok
}
