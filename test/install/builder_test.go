package install

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/test/layer"
)

// builder is this machine with this checkout. What is written there is written nowhere else, but for Go's caches.
type builder struct {
	*layer.Layer
	t        *testing.T
	checkout *layer.Layer
	path     string // of the checkout
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{layer.Over(t, "/"), t, layer.Over(t, path), path}
	b.Bind(b.checkout.Root, path)
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range append(strings.Fields(string(caches)), "/proc", "/dev") {
		b.Bind(folder, folder)
	}
	return b
}

// make runs make in the checkout, with a umask of 077.
func (b *builder) make(args ...string) {
	b.t.Helper()
	b.Must(append([]string{"sh", "-c", `umask 077; cd "$0"; exec make "$@"`, b.path, "--no-print-directory"}, args...)...)
}

// listing returns mode, owner and path of each file in a folder, and of each empty folder.
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

// wantNothingElseWritten wants that nothing was written but below a folder, and in the checkout's folder for what is built.
func (b *builder) wantNothingElseWritten(but string) {
	b.t.Helper()
	config, _ := os.UserConfigDir()
	for _, path := range b.Written() {
		if !strings.HasPrefix(path, but) && !strings.HasPrefix(path, config+"/go/telemetry/") {
			b.t.Errorf("%s was written", path)
		}
	}
	for _, path := range b.checkout.Written() {
		if !strings.HasPrefix(path, "/.build/") {
			b.t.Errorf("%s was written in the checkout", path)
		}
	}
}
