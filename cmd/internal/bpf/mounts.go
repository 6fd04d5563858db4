package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountinfo describes the mounts of this process (proc_pid_mountinfo(5)).
const mountinfo = "/proc/self/mountinfo"

// Where the file systems are on nearly every host.
const (
	usualBPF    = "/sys/fs/bpf"
	usualCgroup = "/sys/fs/cgroup"
)

// ErrNoPins means that no BPF file system is mounted: what is pinned elsewhere would end with the process.
var ErrNoPins = errors.New("no BPF file system is mounted: mount -t bpf bpf " + usualBPF)

// findMount returns where a file system of the kind is mounted as a whole, the usual place first.
func findMount(kind, usual string) (path string, err error) {
	text, err := os.ReadFile(mountinfo)
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		mount, super, _ := strings.Cut(line, " - ")
		fields, of := strings.Fields(mount), strings.Fields(super)
		if len(fields) < 5 || len(of) == 0 || of[0] != kind || fields[3] != "/" {
			continue
		}
		at := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		if path == "" || at == usual {
			path = at
		}
	}
	return path, nil
}

// CgroupRoot returns the folder of the root of the control groups, of version 2.
func CgroupRoot() (string, error) {
	path, err := findMount("cgroup2", usualCgroup)
	if err == nil && path == "" {
		err = errors.New("no file system cgroup2 is mounted: mount -t cgroup2 none " + usualCgroup)
	}
	return path, err
}

// pinsOf returns a folder of pins. It may not exist.
func pinsOf(name string) (string, error) {
	path, err := findMount("bpf", usualBPF)
	if err == nil && path == "" {
		err = ErrNoPins
	}
	return filepath.Join(path, "replypath", name), err
}

// checkPins returns an error if nothing can be pinned in a folder that pinsOf has returned, as in a file system that is mounted read-only.
func checkPins(folder string) error {
	at := filepath.Dir(filepath.Dir(folder))
	if err := unix.Access(at, unix.W_OK); err != nil {
		return fmt.Errorf("pin BPF programs in %s, which must be writable: %w", at, err)
	}
	return nil
}

// netnsCookie returns the number by which programs recognize the network namespace of this process (Linux 5.14).
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("identify the network namespace: open a socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("identify the network namespace: read SO_NETNS_COOKIE (Linux 5.14): %w", err)
	}
	return cookie, nil
}

// cgroupID returns the number of a control group, which is the inode number of its folder.
func cgroupID(folder string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		return 0, fmt.Errorf("find the control group %s: %w", folder, err)
	}
	return st.Ino, nil
}
