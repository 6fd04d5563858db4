package world

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// privateMounts are folders that programs inside write to and that must not be those of the host.
var privateMounts = []string{"/run", "/etc/iproute2"}

// keptFiles are files of hidden folders that programs inside read; they may write to their copies.
const keptFiles = "/etc/iproute2/*"

// makePrivate cuts the mount namespace off from the host's: a /proc of its own, an empty /run, and no way for a
// mount made inside to be seen outside. The namespace's own loopback comes up, for programs that talk to themselves.
func makePrivate() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	const safe = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("proc", "/proc", "proc", safe|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w (in a container: --privileged, or --security-opt systempaths=unconfined)", err)
	}
	if err := coverStateFolder(); err != nil {
		return err
	}
	copies, err := read(keptFiles)
	if err != nil {
		return err
	}
	for _, folder := range privateMounts {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			continue
		}
		if err := unix.Mount("tmpfs", folder, "tmpfs", safe, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", folder, err)
		}
	}
	for path, text := range copies {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/run/lock", 0o1777); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: 1}}); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// coverStateFolder lays a folder in memory over /var/lib: programs inside find what is there, and the machine keeps nothing
// that they write. The /run that holds what is written is covered afterwards.
func coverStateFolder() error {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, folder := range []string{"/run/upper", "/run/work"} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", "/var/lib", "overlay", 0, "lowerdir=/var/lib,upperdir=/run/upper,workdir=/run/work"); err != nil {
		return fmt.Errorf("lay a folder over /var/lib: %w", err)
	}
	return nil
}

// read returns the files that fit the pattern.
func read(pattern string) (map[string][]byte, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if files[path], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}
