package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// bpfFolder is where BPF objects are pinned.
const bpfFolder = "/sys/fs/bpf"

// NewCgroup makes a control group (version 2) for the test, and moves the test's process into it until the test ends: sockets
// that are made from then on belong to it, also those of programs that the test starts. An empty BPF file system is mounted.
func NewCgroup(tb testing.TB) string {
	tb.Helper()
	_, own, err := cgroupPlace()
	if err != nil {
		tb.Fatal(err)
	}
	path := MakeCgroup(tb)
	move := func(group string) error {
		return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o644)
	}
	MountBPF(tb)
	tb.Cleanup(func() {
		if err := move(own); err != nil {
			tb.Errorf("leave the control group %s: %v", path, err)
		}
	})
	if err := move(path); err != nil {
		tb.Fatalf("enter the control group %s: %v", path, err)
	}
	return path
}

// MakeCgroup makes an empty control group (version 2), which is removed when the test ends.
func MakeCgroup(tb testing.TB) string {
	tb.Helper()
	root, _, err := cgroupPlace()
	if err != nil {
		tb.Fatal(err)
	}
	path, err := os.MkdirTemp(root, "replypath-test-")
	if err != nil {
		tb.Fatalf("make a control group: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			tb.Errorf("remove the control group: %v", err)
		}
	})
	return path
}

// MountBPF mounts an empty BPF file system at /sys/fs/bpf until the test ends. No process outside sees it.
func MountBPF(tb testing.TB) {
	tb.Helper()
	if err := unix.Mount("bpf", bpfFolder, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700"); err != nil {
		tb.Fatalf("mount %s: %v", bpfFolder, err)
	}
	tb.Cleanup(func() {
		if err := unix.Unmount(bpfFolder, 0); err != nil {
			tb.Errorf("unmount %s: %v", bpfFolder, err)
		}
	})
}

// ProvideBPF mounts a BPF file system at /sys/fs/bpf, as systemd does, for as long as the namespaces that Enter has made exist. Outside
// of them, and where there is one, it does nothing.
func ProvideBPF() {
	var s unix.Statfs_t
	if !Inside() || unix.Statfs(bpfFolder, &s) == nil && s.Type == unix.BPF_FS_MAGIC {
		return
	}
	if err := unix.Mount("bpf", bpfFolder, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700"); err != nil {
		fmt.Fprintf(os.Stderr, "mount %s: %v\n", bpfFolder, err)
		os.Exit(1)
	}
}

// cgroupPlace returns the folder of the root of the control groups, and that of this process.
func cgroupPlace() (root, own string, err error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", "", err
	}
	for line := range strings.SplitSeq(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" {
			root = fields[1]
		}
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.SplitSeq(string(groups), "\n") {
		if path, unified := strings.CutPrefix(line, "0::"); unified && root != "" {
			return root, filepath.Join(root, path), nil
		}
	}
	return "", "", fmt.Errorf("this machine has no cgroup2: mount -t cgroup2 none /sys/fs/cgroup")
}

// Subgroup makes an empty control group in another one.
func Subgroup(tb testing.TB, group string) string {
	tb.Helper()
	path := filepath.Join(group, "inner")
	if err := os.Mkdir(path, 0o755); err != nil {
		tb.Fatalf("make a control group: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			tb.Errorf("remove the control group: %v", err)
		}
	})
	return path
}
