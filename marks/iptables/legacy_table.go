package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"unsafe"

	"replypath/marks/decoded"

	"golang.org/x/sys/unix"
)

// legacyTable is a table of the legacy backend as the kernel holds it.
type legacyTable struct {
	entries []byte
	hooks   decoded.Hooks
}

// The socket options by which the legacy backend's tables are read (linux/netfilter_ipv4/ip_tables.h), the same numbers
// in both families, and where struct ipt_getinfo and struct ipt_get_entries have what.
const (
	sockoptGetInfo    = 64
	sockoptGetEntries = 65
	infoHooks         = 32
	infoEntries       = 36
	infoBytes         = 80
	infoSize          = 84
	entriesSize       = 32
	entriesHead       = 40
)

// readLegacy reads one of the legacy backend's tables, which the kernel makes when it is not there. The kernel gives it
// whole, as it is between two changes.
func (t *Table) readLegacy(name string) (table legacyTable, err error) {
	family, level := unix.AF_INET, unix.IPPROTO_IP
	if t.ipv6() {
		family, level = unix.AF_INET6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return table, fmt.Errorf("open a raw socket: %w", err)
	}
	defer unix.Close(fd)
	for range maxDumpAttempts {
		if table, err = readLegacyOnce(fd, level, name); !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return table, err
}

// readLegacyOnce fails with EAGAIN when the table became another between the two questions.
func readLegacyOnce(fd, level int, name string) (held legacyTable, err error) {
	info := make([]byte, infoSize)
	copy(info, name)
	if err := getsockopt(fd, level, sockoptGetInfo, info); err != nil {
		return held, fmt.Errorf("ask for the size of the legacy table: %w", err)
	}
	order := binary.NativeEndian
	for hook := range held.hooks {
		held.hooks[hook] = -1
		if order.Uint32(info[infoHooks:])&(1<<hook) != 0 {
			held.hooks[hook] = int(order.Uint32(info[infoEntries+4*hook:]))
		}
	}
	size := order.Uint32(info[infoBytes:])
	table := make([]byte, entriesHead+int(size))
	copy(table, name)
	order.PutUint32(table[entriesSize:], size)
	if err := getsockopt(fd, level, sockoptGetEntries, table); err != nil {
		return held, fmt.Errorf("read the legacy table: %w", err)
	}
	held.entries = table[entriesHead:]
	return held, nil
}

// hashSeed is another for each process: no stamp outlives one.
var hashSeed = maphash.MakeSeed()

// hash sums up what the table holds but for its counters, which it clears.
func (l legacyTable) hash(ipv6 bool) uint64 {
	decoded.ClearCounters(l.entries, ipv6)
	return maphash.Bytes(hashSeed, l.entries)
}

func getsockopt(fd, level, name int, value []byte) error {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
