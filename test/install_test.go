package test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/test/layer"

	"github.com/google/go-cmp/cmp"
)

// builder is this machine with this checkout. What is written there is written nowhere else, but for Go's caches.
type builder struct {
	*layer.Layer
	t        *testing.T
	checkout *layer.Layer
	place    string // of the checkout
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	place, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{layer.Over(t, "/"), t, layer.Over(t, place), place}
	b.Bind(b.checkout.Root, place)
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range append(strings.Fields(string(caches)), "/proc", "/dev") {
		b.Bind(folder, folder)
	}
	return b
}

// make runs make in the checkout, as somebody whose files nobody else may read.
func (b *builder) make(args ...string) {
	b.t.Helper()
	b.Must(append([]string{"sh", "-c", `umask 077; cd "$0"; exec make "$@"`, b.place, "--no-print-directory"}, args...)...)
}

// listing tells the mode, the owner and the place of each file in a folder, and of each folder that holds nothing.
func (b *builder) listing(folder string) string {
	b.t.Helper()
	var all []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		within, _ := os.ReadDir(path)
		if d.IsDir() && len(within) > 0 && path != folder {
			if info.Mode().Perm() != 0o755 {
				b.t.Errorf("the folder %s has the mode %o", path, info.Mode().Perm())
			}
			return nil
		}
		owner := info.Sys().(*syscall.Stat_t)
		if path != folder {
			all = append(all, fmt.Sprintf("%o %d:%d %s", info.Mode().Perm(), owner.Uid, owner.Gid, strings.TrimPrefix(path, folder)))
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// installed is what make install puts into DESTDIR with PREFIX=/usr.
const installed = `644 0:0 /etc/iproute2/rt_protos.d/replypath.conf
755 0:0 /etc/iproute2/rt_tables.d
644 0:0 /etc/replypath/replypath.toml.sample
755 0:0 /etc/replypath/uplinks.d
755 0:0 /usr/bin/replypath
644 0:0 /usr/lib/systemd/networkd.conf.d/replypath.conf
644 0:0 /usr/lib/systemd/system/replypath.service
644 0:0 /usr/lib/tmpfiles.d/replypath.conf
644 0:0 /usr/share/bash-completion/completions/replypath
644 0:0 /usr/share/doc/replypath/CHANGELOG.md
644 0:0 /usr/share/doc/replypath/LICENSE
644 0:0 /usr/share/doc/replypath/recipes.md
644 0:0 /usr/share/doc/replypath/replypath.openrc
644 0:0 /usr/share/doc/replypath/replypath.procd
644 0:0 /usr/share/doc/replypath/status.md
644 0:0 /usr/share/fish/vendor_completions.d/replypath.fish
644 0:0 /usr/share/man/man5/replypath.toml.5
644 0:0 /usr/share/man/man7/replypath-recipes.7
644 0:0 /usr/share/man/man8/replypath.8
644 0:0 /usr/share/zsh/site-functions/_replypath`

// An image gets its files, whoever builds it, and nothing else is written, also the second time, and by a path that is
// not from the root.
func TestInstallIntoAnImage(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	image := b.Root + "/srv/an image"
	relative, err := filepath.Rel(b.place, "/srv/an image")
	if err != nil {
		t.Fatal(err)
	}
	for _, destination := range []string{"/srv/an image", relative} {
		b.make("install", "DESTDIR="+destination, "PREFIX=/usr")
		if diff := cmp.Diff(strings.Split(installed, "\n"), strings.Split(b.listing(image), "\n")); diff != "" {
			t.Errorf("installed into %s (-want +got):\n%s", destination, diff)
		}
	}
	b.nothingElse("/srv/an image/")
	// The program is all that it needs, and everything speaks of the place where it lies.
	if out, err := exec.Command("chroot", image, "/usr/bin/replypath", "version").CombinedOutput(); err != nil {
		t.Errorf("in the bare image: %v\n%s", err, out)
	}
	for _, file := range []string{"/usr/lib/systemd/system/replypath.service", "/usr/share/doc/replypath/replypath.openrc", "/usr/share/doc/replypath/replypath.procd"} {
		text, _ := os.ReadFile(image + file)
		if !strings.Contains(string(text), "/usr/bin/replypath") || strings.Contains(string(text), "/usr/local") {
			t.Errorf("%s does not speak of /usr/bin/replypath:\n%s", file, text)
		}
	}
	b.Must("systemctl", "--quiet", "--root=/srv/an image", "enable", "replypath")
	if to, err := os.Readlink(image + "/etc/systemd/system/multi-user.target.wants/replypath.service"); to != "/usr/lib/systemd/system/replypath.service" {
		t.Errorf("enabled: %q, %v", to, err)
	}
	if err := os.RemoveAll(image + "/etc/systemd"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.make("uninstall", "DESTDIR="+relative, "PREFIX=/usr")
		for line := range strings.Lines(b.listing(image)) {
			if line[0] != '7' || strings.Contains(line, "replypath") {
				t.Errorf("left in the image: %s", line)
			}
		}
	}
	b.nothingElse("/srv/an image/")
}

// nothingElse wants that nothing was written but below a folder, and in the checkout's folder for what is built.
func (b *builder) nothingElse(but string) {
	b.t.Helper()
	config, _ := os.UserConfigDir()
	for _, place := range b.Written() {
		if !strings.HasPrefix(place, but) && !strings.HasPrefix(place, config+"/go/telemetry/") {
			b.t.Errorf("%s was written", place)
		}
	}
	for _, place := range b.checkout.Written() {
		if !strings.HasPrefix(place, "/.build/") {
			b.t.Errorf("%s was written in the checkout", place)
		}
	}
}

// On the host itself it goes to /usr/local, where everything is found, and all of it is taken away again, but not what
// the operator wrote.
func TestInstallOnTheHostAndUninstall(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	b.make("install")
	before := b.Written()
	for line := range strings.Lines(strings.ReplaceAll(installed, " /usr/", " /usr/local/")) {
		mode, place, _ := strings.Cut(strings.TrimSpace(line), " 0:0 ")
		if info, err := os.Stat(b.Root + place); err != nil || fmt.Sprintf("%o", info.Mode().Perm()) != mode {
			t.Errorf("%s: %v, %v; want the mode %s", place, info, err, mode)
		}
	}
	if said := b.Must("replypath", "version"); !strings.HasPrefix(said, "replypath ") {
		t.Errorf("the program says %q", said)
	}
	b.Must("systemctl", "--quiet", "enable", "replypath")
	b.Must("systemctl", "--quiet", "disable", "replypath")

	own := map[string]string{"/etc/replypath/replypath.toml": "mask = 0xff00\n", "/etc/replypath/uplinks.d/a.toml": "id = 1\n"}
	for place, text := range own {
		b.Write(place, text)
	}
	b.make("install")
	b.make("uninstall")
	b.make("uninstall")
	for place, text := range own {
		if got, err := os.ReadFile(b.Root + place); string(got) != text {
			t.Errorf("%s: %q, %v", place, got, err)
		}
	}
	for _, place := range before {
		if _, err := os.Stat(b.Root + place); err == nil && strings.Contains(place, "replypath") && !strings.HasPrefix(place, b.place) {
			t.Errorf("%s is left", place)
		}
	}
	for place := range own {
		if err := os.Remove(b.Root + place); err != nil {
			t.Fatal(err)
		}
	}
	b.make("uninstall")
	if _, err := os.Stat(b.Root + "/etc/replypath"); err == nil {
		t.Error("/etc/replypath is left, with nothing in it")
	}
	if !slices.ContainsFunc(before, func(place string) bool { return place == "/usr/local/bin/replypath" }) {
		t.Errorf("nothing was written: %v", before)
	}
}
