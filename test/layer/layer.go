// Package layer gives tests a file system to write to that begins as another one, which stays as it is.
package layer

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// Layer is a folder over another one. What is written there is kept in memory, until the test has ended.
type Layer struct {
	Root  string // what one sees
	Upper string // only what was written
	tb    world.TB
}

// Over lays a folder over another one. It needs root, and a program that is in a world.
func Over(tb world.TB, lower string) *Layer {
	tb.Helper()
	dir, err := os.MkdirTemp("/run", "layer")
	if err != nil {
		tb.Fatalf("%v", err)
	}
	l := &Layer{filepath.Join(dir, "root"), filepath.Join(dir, "upper"), tb}
	for _, folder := range []string{l.Root, l.Upper, dir + "/work"} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			tb.Fatalf("%v", err)
		}
	}
	l.mount("overlay", l.Root, "overlay", 0, "lowerdir="+lower+",upperdir="+l.Upper+",workdir="+dir+"/work")
	return l
}

// Bind shows a folder of the machine's at this place.
func (l *Layer) Bind(folder, target string) {
	l.tb.Helper()
	at := filepath.Join(l.Root, target)
	if err := os.MkdirAll(at, 0o755); err != nil {
		l.tb.Fatalf("%v", err)
	}
	l.mount(folder, at, "", unix.MS_BIND|unix.MS_REC, "")
}

// Written returns the files that were written or deleted, by their places.
func (l *Layer) Written() (paths []string) {
	l.tb.Helper()
	err := filepath.WalkDir(l.Upper, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, strings.TrimPrefix(path, l.Upper))
		}
		return err
	})
	if err != nil {
		l.tb.Fatalf("%v", err)
	}
	return paths
}

func (l *Layer) mount(source, at, kind string, flags uintptr, options string) {
	l.tb.Helper()
	if err := unix.Mount(source, at, kind, flags, options); err != nil {
		l.tb.Fatalf("mount %s at %s: %v", source, at, err)
	}
	l.tb.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			l.tb.Errorf("unmount %s: %v", at, err)
		}
	})
}

// Write writes a file, and the folders that it lies in.
func (l *Layer) Write(path, text string) {
	l.tb.Helper()
	at := filepath.Join(l.Root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		l.tb.Fatalf("%v", err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		l.tb.Fatalf("%v", err)
	}
}

// Try runs a command whose root folder this is, and gives what it printed.
func (l *Layer) Try(args ...string) (string, error) {
	cmd := exec.Command("chroot", append([]string{l.Root}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Must runs a command like Try, and wants success.
func (l *Layer) Must(args ...string) string {
	l.tb.Helper()
	out, err := l.Try(args...)
	if err != nil {
		l.tb.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
