package configstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/cmd/internal/config"
)

const configFile = "/etc/replypath/replypath.toml"

// texts returns a configuration of a main file and a file in uplinks.d.
func texts(priority int) config.Files {
	return config.Files{
		{Path: configFile, Text: fmt.Sprintf("priority = %d\n", priority)},
		{Path: "/etc/replypath/uplinks.d/fibre.toml", Uplink: "fibre", Text: "id = 1\ngateway = \"auto\"\n"},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// priorities returns the priorities of both saved configurations, 0 for none.
func priorities(t *testing.T, s Store) (confirmed, unconfirmed int) {
	t.Helper()
	of := func(saved Saved, err error) int {
		t.Helper()
		if errors.Is(err, ErrNone) {
			return 0
		}
		must(t, err)
		if len(saved.Uplinks) != 1 || saved.At.IsZero() || !saved.Files.SameText(texts(int(saved.Priority))) {
			t.Errorf("a saved configuration is not whole: %+v", saved)
		}
		return int(saved.Priority)
	}
	return of(s.Confirmed()), of(s.Unconfirmed())
}

func want(t *testing.T, s Store, confirmed, unconfirmed int) {
	t.Helper()
	if c, u := priorities(t, s); c != confirmed || u != unconfirmed {
		t.Errorf("confirmed %d, unconfirmed %d; want %d, %d", c, u, confirmed, unconfirmed)
	}
}

func TestStore(t *testing.T) {
	state := t.TempDir()
	s := New(state, configFile)
	want(t, s, 0, 0)
	must(t, s.AwaitConfirmation(texts(1000)))
	want(t, s, 0, 1000)
	must(t, s.Commit())
	want(t, s, 1000, 0)
	must(t, s.AwaitConfirmation(texts(2000)))
	must(t, s.AwaitConfirmation(texts(3000)))
	want(t, New(state, configFile), 1000, 3000)
	must(t, s.Commit())
	must(t, s.AwaitConfirmation(texts(4000)))
	must(t, s.Confirm(texts(5000)))
	want(t, s, 5000, 0)
	if err := s.Commit(); err == nil {
		t.Error("nothing is unconfirmed, and is committed")
	}
	want(t, s, 5000, 0)
	want(t, New(state, "/etc/replypath/replypath-toml"), 0, 0)
	text, err := os.ReadFile(filepath.Join(state, "persistent", "etc-replypath-replypath.toml", "confirmed", "uplinks.d", "fibre.toml"))
	if err != nil || string(text) != texts(0)[1].Text {
		t.Errorf("an operator finds %q, %v", text, err)
	}
	entries, err := os.ReadDir(filepath.Join(state, "persistent", "etc-replypath-replypath.toml"))
	if err != nil || len(entries) != 2 {
		t.Errorf("older versions are left: %v, %v", entries, err)
	}
}

func TestSameTextIsNotWrittenAgain(t *testing.T) {
	s := New(t.TempDir(), configFile)
	must(t, s.Confirm(texts(1000)))
	before, err := s.Confirmed()
	must(t, err)
	s.changes = func() {}
	must(t, s.Confirm(texts(1000)))
	if after, err := s.Confirmed(); err != nil || !after.At.Equal(before.At) {
		t.Errorf("written at %s, and again at %s, %v", before.At, after.At, err)
	}
}

// A crash is a panic at a change of the disk: no clean-up follows. After each, the saved configurations are whole, the
// confirmed one is the old or the new one, and the next write succeeds.
func TestCrashLeavesAWholeConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		write                  func(Store) error
		confirmed, unconfirmed []int
	}{
		"confirm": {func(s Store) error { return s.Confirm(texts(3000)) }, []int{1000, 3000}, []int{2000, 0}},
		"await":   {func(s Store) error { return s.AwaitConfirmation(texts(3000)) }, []int{1000}, []int{2000, 3000}},
		"commit":  {Store.Commit, []int{1000, 2000}, []int{2000, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			for crash := 1; ; crash++ {
				s := New(t.TempDir(), configFile)
				must(t, s.Confirm(texts(1000)))
				must(t, s.AwaitConfirmation(texts(2000)))
				if !crashAt(t, s, crash, c.write) {
					if crash < 2 {
						t.Error("nothing was written")
					}
					return
				}
				confirmed, unconfirmed := priorities(t, s)
				if !slices.Contains(c.confirmed, confirmed) || !slices.Contains(c.unconfirmed, unconfirmed) {
					t.Errorf("a crash at change %d: confirmed %d, unconfirmed %d", crash, confirmed, unconfirmed)
				}
				must(t, s.Confirm(texts(4000)))
				want(t, s, 4000, 0)
				if entries, err := os.ReadDir(filepath.Join(s.root, s.key)); err != nil || len(entries) != 2 {
					t.Errorf("a crash at change %d leaves %v, %v", crash, entries, err)
				}
			}
		})
	}
}

// crashAt writes until that change of the disk, and reports whether there was one.
func crashAt(t *testing.T, s Store, change int, write func(Store) error) (crashed bool) {
	t.Helper()
	type crash struct{}
	n := 0
	s.changes = func() {
		if n++; n == change {
			panic(crash{})
		}
	}
	defer func() {
		if r := recover(); r != nil {
			if _, crashed = r.(crash); !crashed {
				panic(r)
			}
		}
	}()
	must(t, write(s))
	return false
}

func TestForeignDirectoryIsNotUsed(t *testing.T) {
	const user = 12345
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"of a user":      {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, user, 0)) }, "belongs to user 12345"},
		"of the group":   {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) }, "other users can write"},
		"of all":         {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) }, "every user can write"},
		"a user's link":  {func(dir string) error { return errors.Join(os.Symlink("/var", dir), os.Lchown(dir, user, 0)) }, "belongs to user 12345"},
		"a file":         {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "not a directory"},
		"a dangling one": {func(dir string) error { return os.Symlink("none", dir) }, "exists"},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t.TempDir(), configFile)
			must(t, c.spoil(s.root))
			if err := s.Confirm(texts(1000)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := s.Confirmed(); err == nil {
				t.Error("it is read")
			}
		})
	}
}

func TestSavedFileThatAUserCanChangeIsNotUsed(t *testing.T) {
	s := New(t.TempDir(), configFile)
	must(t, s.Confirm(texts(1000)))
	must(t, os.Chmod(s.path(confirmedName), 0o606))
	if saved, err := s.Confirmed(); err == nil || errors.Is(err, ErrNone) || errors.Is(err, syscall.ENOENT) {
		t.Errorf("%+v, %v", saved, err)
	}
}
