package survey

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"replypath/cmd/internal/doctor"

	"golang.org/x/sys/unix"
)

// missingKernelOptions returns the names of doctor.KernelOptions that the running kernel was built without. It returns none
// where the configuration of the kernel cannot be read.
func missingKernelOptions(root string) (names []string) {
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return nil
	}
	release := unix.ByteSliceToString(system.Release[:])
	paths := []string{filepath.Join(root, "/boot/config-"+release), filepath.Join(root, "/lib/modules", release, "config")}
	if root == "/" {
		paths = append(paths, "/proc/config.gz")
	}
	i := slices.IndexFunc(paths, func(path string) bool { _, err := os.Stat(path); return err == nil })
	if i < 0 {
		return nil
	}
	f, err := os.Open(paths[i])
	if err != nil {
		return nil
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(paths[i], ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil
		}
	}
	return unsetOptions(r)
}

// unsetOptions returns the names of doctor.KernelOptions that a kernel configuration does not set. An option whose
// dependency is not set does not appear in it. A text without options is no configuration: it returns none.
func unsetOptions(config io.Reader) (names []string) {
	set := map[string]bool{}
	for lines := bufio.NewScanner(config); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && strings.HasPrefix(name, "CONFIG_") {
			set[name] = value == "y" || value == "m"
		}
	}
	for _, o := range doctor.KernelOptions {
		if len(set) > 0 && !set[o.Name] {
			names = append(names, o.Name)
		}
	}
	return names
}
