package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrUnsupported is the error where the kernel, or the container, has no cgroup v2.
var ErrUnsupported = errors.New("the kernel has no cgroup v2 here")

// Hierarchy is all control groups that this process can see.
type Hierarchy struct{ root *os.Root }

// OpenHierarchy mounts the hierarchy in a mount that only this process sees and that Close ends. It needs CAP_SYS_ADMIN.
func OpenHierarchy() (*Hierarchy, error) {
	root, err := openRoot()
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOSYS):
		return nil, fmt.Errorf("%w: %w: it needs Linux 5.2 with CONFIG_CGROUPS", ErrUnsupported, err)
	case err != nil:
		return nil, fmt.Errorf("mount cgroup v2: %w: it needs root, with CAP_SYS_ADMIN", err)
	}
	return &Hierarchy{root}, nil
}

func openRoot() (*os.Root, error) {
	context, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(mount)
	return os.OpenRoot("/proc/self/fd/" + strconv.Itoa(mount))
}

// Close ends the mount. Groups are not concerned.
func (h *Hierarchy) Close() { h.root.Close() }

// Own returns the path of the group of this process.
func (h *Hierarchy) Own() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("read the control group of this process: %w", err)
	}
	return parseOwn(string(text))
}

// parseOwn returns the path in cgroup v2 from /proc/PID/cgroup (cgroups(7)).
func parseOwn(text string) (string, error) {
	for line := range strings.Lines(text) {
		own, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::/")
		switch {
		case !is:
		case own == ".." || strings.HasPrefix(own, "../"), strings.HasSuffix(own, " (deleted)"):
			return "", fmt.Errorf("this process is in the control group /%s, which cannot be entered from here: start it from a process of the same container", own)
		default:
			return path.Clean(own), nil
		}
	}
	return "", ErrUnsupported
}

// RemoveEmpty removes the groups whose name begins with the prefix and that have no processes, wherever they are.
func (h *Hierarchy) RemoveEmpty(prefix string) error {
	var failed []error
	err := fs.WalkDir(h.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV): // it was removed meanwhile
			return nil
		case err != nil:
			return err
		case !d.IsDir() || !strings.HasPrefix(d.Name(), prefix):
			return nil
		}
		if err := h.Remove(name); err != nil && !errors.Is(err, unix.EBUSY) {
			failed = append(failed, err)
		}
		return fs.SkipDir
	})
	return errors.Join(append(failed, err)...)
}

// Remove removes a group, and with it the programs that are attached to it. One that is gone already is no error.
func (h *Hierarchy) Remove(group string) error {
	if err := h.root.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove the control group /%s: %w", group, err)
	}
	return nil
}
