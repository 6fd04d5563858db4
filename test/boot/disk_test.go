//go:build boot

package boot

import (
	"os"
	"path/filepath"
	"testing"

	"replypath/test/layer"
)

// The environment of make test-boot and make test-modules: the folder that holds the image, and the package and a later version of it.
var (
	image   = os.Getenv("REPLYPATH_IMAGE")
	deb     = os.Getenv("REPLYPATH_DEB")
	nextDeb = os.Getenv("REPLYPATH_NEXT_DEB")
	rpm     = os.Getenv("REPLYPATH_RPM")
)

// disk is a copy of the image, of which only what differs is written: to memory.
type disk struct {
	*layer.Layer
	t *testing.T
}

func newDisk(t *testing.T) *disk { return diskOf(t, image) }

func diskOf(t *testing.T, image string) *disk {
	t.Helper()
	d := &disk{layer.Over(t, image), t}
	d.Write("/etc/sysctl.d/90-strict.conf", "net.ipv4.conf.default.rp_filter = 1\nnet.ipv4.conf.*.rp_filter = 1\n")
	d.forwards()
	return d
}

// put copies a file into the root's home, and gives its path there.
func (d *disk) put(file string) string {
	d.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join("/root", filepath.Base(file))
	d.Write(path, string(text))
	return path
}

// install installs a package where nothing runs, as an image builder does.
func (d *disk) install(deb string) {
	d.t.Helper()
	d.Must("dpkg", "--install", d.put(deb))
}
