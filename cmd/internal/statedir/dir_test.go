package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/cmd/internal/namespace"

	"golang.org/x/sys/unix"
)

// Whatever opens a file of the state folder says what to do about something else in its place. It waits for nothing.
func TestOnlyRegularFilesAreState(t *testing.T) {
	cookie, err := namespace.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]struct {
		file string // %d is the network namespace
		use  func(d Dir) error
	}{
		"ReadJSON":                  {"found-routers-%d.json", func(d Dir) error { _, err := d.ReadJSON("found-routers", new(any)); return err }},
		"WriteJSON":                 {"found-routers-%d.json", func(d Dir) error { return d.WriteJSON("found-routers", 1) }},
		"ReadText":                  {"restore-before-%d.txt", func(d Dir) error { _, err := d.ReadText("restore-before"); return err }},
		"WriteText":                 {"restore-before-%d.txt", func(d Dir) error { return d.WriteText("restore-before", "text") }},
		"Originals":                 {"found-%d.json", func(d Dir) error { _, err := d.Originals(); return err }},
		"Lock":                      {"found-%d.json.lock", func(d Dir) error { _, err := d.Lock(t.Context()); return err }},
		"the lock of the namespace": {"service-%d.lock", func(d Dir) error { _, err := lockNamespaceFile(d.path); return err }},
	}
	for kind, put := range map[string]func(path string) error{
		"a FIFO":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link": func(path string) error {
			return errors.Join(os.WriteFile(path+"-real", []byte("1"), 0o600), os.Symlink(path+"-real", path))
		},
	} {
		for name, u := range uses {
			d, err := Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(d.path, fmt.Sprintf(u.file, cookie))
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			if err := u.use(d); err == nil || !strings.Contains(err.Error(), path+": not a regular file: remove it") {
				t.Errorf("%s of %s: %v", name, kind, err)
			}
		}
	}
}

// What killed processes have left of the namespace's own files is removed by the next one that may write, as soon as it has the lock.
func TestLockRemovesLeftovers(t *testing.T) {
	cookie, err := namespace.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{ // whether they stay
		"rollback-%d.json.replypath-1":      false,
		"restore-after-%d.txt.replypath-23": false,
		"rollback-%d.json":                  true,
		"rollback-%d.json.1":                true,
		"rollback-%d.json.replypath-x":      true,
		"rollback-7%d.json.replypath-1":     true,
		"rollback%d.json.replypath-1":       true,
		"notes-%d.toml.replypath-1":         true,
	}
	for name := range files {
		if err := os.WriteFile(filepath.Join(d.path, fmt.Sprintf(name, cookie)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := d.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	for name, stays := range files {
		if _, err := os.Lstat(filepath.Join(d.path, fmt.Sprintf(name, cookie))); (err == nil) != stays {
			t.Errorf("%s: %v, want it to stay: %t", name, err, stays)
		}
	}
}
