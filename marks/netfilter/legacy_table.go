package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LegacyTable is a table of the legacy backend as the kernel returns it.
type LegacyTable struct {
	IPv6    bool
	Entries []byte
	Hooks   Hooks
}

// The socket options that read tables of the legacy backend, the same numbers in both families, and offsets and sizes
// of struct ipt_getinfo and struct ipt_get_entries (linux/netfilter_ipv4/ip_tables.h).
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

// LegacyTableNames returns the names of the tables that the legacy backend has in this network namespace.
func LegacyTableNames(ipv6 bool) []string {
	file := "/proc/thread-self/net/ip_tables_names"
	if ipv6 {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// ReadLegacyTable reads a table of the legacy backend. The kernel creates the table if it does not exist, and returns a
// consistent copy.
func ReadLegacyTable(name string, ipv6 bool) (table LegacyTable, err error) {
	family, level := unix.AF_INET, unix.IPPROTO_IP
	if ipv6 {
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
	table.IPv6 = ipv6
	return table, err
}

// readLegacyOnce returns EAGAIN when the table changed its size between the two system calls.
func readLegacyOnce(fd, level int, name string) (table LegacyTable, err error) {
	info := make([]byte, infoSize)
	copy(info, name)
	if err := getsockopt(fd, level, sockoptGetInfo, info); err != nil {
		return table, fmt.Errorf("read the size of the legacy table: %w", err)
	}
	order := binary.NativeEndian
	for hook := range table.Hooks {
		table.Hooks[hook] = -1
		if order.Uint32(info[infoHooks:])&(1<<hook) != 0 {
			table.Hooks[hook] = int(order.Uint32(info[infoEntries+4*hook:]))
		}
	}
	size := order.Uint32(info[infoBytes:])
	b := make([]byte, entriesHead+int(size))
	copy(b, name)
	order.PutUint32(b[entriesSize:], size)
	if err := getsockopt(fd, level, sockoptGetEntries, b); err != nil {
		return table, fmt.Errorf("read the legacy table: %w", err)
	}
	table.Entries = b[entriesHead:]
	return table, nil
}

// hashSeed differs in each process: hashes are not comparable between processes.
var hashSeed = maphash.MakeSeed()

// Hash returns a hash over the table's rules without their counters, which it sets to zero in Entries.
func (t LegacyTable) Hash() uint64 {
	ClearCounters(t.Entries, t.IPv6)
	return maphash.Bytes(hashSeed, t.Entries)
}

// Decode decodes the table's rules. It returns ErrMalformed for bytes that are no table.
func (t LegacyTable) Decode() (Table, error) { return DecodeLegacy(t.Entries, t.Hooks, t.IPv6) }

func getsockopt(fd, level, name int, value []byte) error {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
