package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Settings are what the programs of [udp] are loaded with.
type Settings struct {
	Mask    uint32 // of the uplinks' marks
	Entries uint32 // the number of clients and ports that are remembered
	Cgroup  string // its folder; empty: the root
	OwnToo  bool   // connections from inside have marks of uplinks too
}

// maxAddrs bounds the addresses of the uplinks.
const maxAddrs = 1024

// UDP reads and writes the programs of [udp] in the network namespace of this process. Not safe for concurrent use.
type UDP struct {
	netns    uint64
	pins     string                         // folder
	expected map[Settings]map[string]string // what Check found: the tag of each program, by name
	guard    []int                          // the sockets of Guard
}

// State is what is pinned.
type State struct {
	Present bool // something is pinned
	Current bool // all programs are those of the settings, attached to their control group
	// Addrs has the addresses that the programs may choose, each with the time for which they still may.
	Addrs map[netip.Addr]time.Duration
}

// OpenUDP finds the place of the pins. Without one the error is ErrNoPins: nothing can be attached.
func OpenUDP() (*UDP, error) {
	netns, err := netnsCookie()
	if err != nil {
		return nil, err
	}
	pins, err := pinsOf(strconv.FormatUint(netns, 10))
	return &UDP{netns: netns, pins: pins, expected: map[Settings]map[string]string{}}, err
}

// Read reads what is pinned, and compares it with the settings, if there are some.
func (u *UDP) Read(want *Settings) (State, error) {
	if _, err := os.Stat(u.pins); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return State{}, err
	}
	s := State{Present: true, Addrs: map[netip.Addr]time.Duration{}}
	if want != nil {
		s.Current = u.isCurrent(*want)
	}
	m, err := u.loadMap(addrsMap)
	if errors.Is(err, fs.ErrNotExist) {
		return State{Present: true}, nil
	}
	if err != nil {
		return s, err
	}
	defer m.Close()
	now, err := monotonic()
	if err != nil {
		return s, err
	}
	var addr [addrSize]byte
	var until uint64
	entries := m.Iterate()
	for entries.Next(&addr, &until) {
		s.Addrs[netip.AddrFrom16(addr).Unmap()] = time.Duration(until) - now
	}
	if err := entries.Err(); err != nil {
		return s, fmt.Errorf("read the map %s: %w", u.pin(addrsMap), err)
	}
	return s, nil
}

// isCurrent reports whether each program is attached to the control group of the settings, and is the one that they give.
func (u *UDP) isCurrent(want Settings) bool {
	folder, err := want.folder()
	if err != nil {
		return false
	}
	id, err := cgroupID(folder)
	if err != nil {
		return false
	}
	asked, err := u.loadMap(askedMap)
	if err != nil {
		return false
	}
	defer asked.Close()
	if asked.MaxEntries() != want.Entries {
		return false
	}
	tags, err := u.expect(want)
	if err != nil {
		return false
	}
	for name, tag := range tags {
		if at, loaded, err := u.readLink(name); err != nil || at != id || loaded != tag {
			return false
		}
	}
	return true
}

// readLink returns the control group of a pinned link, 0 if that is gone, and the tag of the link's program.
func (u *UDP) readLink(name string) (cgroup uint64, tag string, err error) {
	l, err := link.LoadPinnedLink(u.pinOfLink(name), nil)
	if err != nil {
		return 0, "", err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil || info.Cgroup() == nil {
		return 0, "", errors.Join(err, fs.ErrInvalid)
	}
	p, err := ebpf.NewProgramFromID(info.Program)
	if err != nil {
		return 0, "", err
	}
	defer p.Close()
	program, err := p.Info()
	if err != nil {
		return 0, "", err
	}
	return info.Cgroup().CgroupId, program.Tag, nil
}

// SetAddr lets the programs choose the address for that time.
func (u *UDP) SetAddr(a netip.Addr, lease time.Duration) error {
	m, err := u.loadMap(addrsMap)
	if err != nil {
		return err
	}
	defer m.Close()
	now, err := monotonic()
	if err != nil {
		return err
	}
	return m.Put(a.As16(), uint64(now+lease))
}

// DropAddr forbids the programs to choose the address.
func (u *UDP) DropAddr(a netip.Addr) error {
	m, err := u.loadMap(addrsMap)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Delete(a.As16()); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// folder returns the folder of the control group.
func (s Settings) folder() (string, error) {
	if s.Cgroup != "" {
		return s.Cgroup, nil
	}
	return CgroupRoot()
}

func (u *UDP) pin(name string) string { return filepath.Join(u.pins, name) }

func (u *UDP) pinOfLink(name string) string { return u.pin("link_" + name) }

func (u *UDP) loadMap(name string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(u.pin(name), nil)
	if err != nil {
		return nil, fmt.Errorf("open the map %s: %w", u.pin(name), err)
	}
	return m, nil
}

// monotonic returns the clock of the programs' bpf_ktime_get_ns.
func monotonic() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
