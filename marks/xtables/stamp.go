package xtables

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"unsafe"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// Stamp tells, without starting a process, whether a table may have changed: as long as it is the same, the table is.
func (t *Table) Stamp() (uint64, error) {
	if t.Backend == marks.NFT {
		return t.generation()
	}
	return t.blob()
}

// generation is the number of changes to nftables in this network namespace, whosever they are.
func (t *Table) generation() (uint64, error) {
	answer, err := t.asked(message(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC))
	if err != nil {
		return 0, fmt.Errorf("ask for the nftables generation: %w", err)
	}
	if id := nfnetlink.Value(answer, unix.NFTA_GEN_ID); len(id) == 4 {
		return uint64(binary.BigEndian.Uint32(id)), nil
	}
	return 0, fmt.Errorf("ask for the nftables generation: %w", unix.EBADMSG)
}

// The socket options by which the legacy backend's tables are read (linux/netfilter_ipv4/ip_tables.h), the same numbers
// in both families.
const (
	getInfo    = 64
	getEntries = 65
	infoSize   = 84
	nameSize   = 32
)

// entry says where a legacy rule has what (struct ipt_entry, struct ip6t_entry). Counters stand at a multiple of 8.
type entry struct{ next, counters int }

var entries = map[bool]entry{
	false: {next: 84 + 4 + 2, counters: 84 + 4 + 2 + 2 + 4},
	true:  {next: 136 + 4 + 2, counters: 136 + 4 + 2 + 2 + 4 + 4},
}

// blob sums up a legacy table as the kernel holds it, but for its counters.
func (t *Table) blob() (uint64, error) {
	family, level, v6 := unix.AF_INET, unix.IPPROTO_IP, t.family() == unix.NFPROTO_IPV6
	if v6 {
		family, level = unix.AF_INET6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return 0, fmt.Errorf("open a raw socket: %w", err)
	}
	defer unix.Close(fd)
	info := make([]byte, infoSize)
	copy(info, marks.Table)
	if err := getsockopt(fd, level, getInfo, info); err != nil {
		return 0, fmt.Errorf("ask for the size of the legacy table: %w", err)
	}
	size := binary.NativeEndian.Uint32(info[infoSize-4:])
	table := make([]byte, nameSize+8+int(size))
	copy(table, marks.Table)
	binary.NativeEndian.PutUint32(table[nameSize:], size)
	if err := getsockopt(fd, level, getEntries, table); err != nil {
		return 0, fmt.Errorf("read the legacy table: %w", err)
	}
	return sum(table[nameSize+8:], entries[v6]), nil
}

func sum(rules []byte, at entry) uint64 {
	h := fnv.New64a()
	for len(rules) >= at.counters+16 {
		next := int(binary.NativeEndian.Uint16(rules[at.next:]))
		if next < at.counters+16 || next > len(rules) {
			break
		}
		clear(rules[at.counters : at.counters+16])
		h.Write(rules[:next])
		rules = rules[next:]
	}
	return h.Sum64()
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
