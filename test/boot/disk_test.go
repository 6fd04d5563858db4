//go:build boot

package boot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What make test-boot says: the folder that holds the image, and the package and a later version of it.
var (
	image   = os.Getenv("REPLYPATH_IMAGE")
	deb     = os.Getenv("REPLYPATH_DEB")
	nextDeb = os.Getenv("REPLYPATH_NEXT_DEB")
	rpm     = os.Getenv("REPLYPATH_RPM")
)

// disk is a copy of the image, of which only what differs is written: to memory.
type disk struct {
	t    *testing.T
	root string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "disk")
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{t, filepath.Join(dir, "root")}
	for _, folder := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "lowerdir=" + image + ",upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := unix.Mount("overlay", d.root, "overlay", 0, options); err != nil {
		t.Fatalf("mount the image %s: %v", image, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d.write("/etc/sysctl.d/90-strict.conf", "net.ipv4.conf.default.rp_filter = 1\nnet.ipv4.conf.*.rp_filter = 1\n")
	d.forwards()
	return d
}

func (d *disk) write(path, text string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Join(d.root, filepath.Dir(path)), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.root, path), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// chroot runs a command on the disk, where nothing has booted, and gives what it printed.
func (d *disk) chroot(args ...string) (string, error) {
	cmd := exec.Command("chroot", append([]string{d.root}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (d *disk) must(args ...string) string {
	d.t.Helper()
	out, err := d.chroot(args...)
	if err != nil {
		d.t.Fatalf("on the disk: %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// put copies a file into the root's home, and gives its path there.
func (d *disk) put(file string) string {
	d.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join("/root", filepath.Base(file))
	d.write(path, string(text))
	return path
}

// install installs a package where nothing runs, as an image builder does.
func (d *disk) install(deb string) {
	d.t.Helper()
	d.must("dpkg", "--install", d.put(deb))
}
