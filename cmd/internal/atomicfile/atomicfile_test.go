package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// writtenVariable names the file that a process of TestWriteRemovesWhatKilledWritersLeft writes until it is killed.
const writtenVariable = "ATOMICFILE_TEST_WRITTEN"

func TestMain(m *testing.M) {
	if path := os.Getenv(writtenVariable); path != "" {
		f, err := createTemporary(path)
		if err == nil {
			_, err = f.WriteString("half a f")
		}
		fmt.Println(filepath.Base(f.Name()), err)
		_, _ = io.Copy(io.Discard, os.Stdin) // until the end of the test, which kills this process before
		return
	}
	os.Exit(m.Run())
}

// startWriter starts a process that is writing the file. kill ends it by SIGKILL.
func startWriter(t *testing.T, path string) (temporary string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writtenVariable+"="+path)
	stdin, err := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err = errors.Join(err, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close() })
	var said string
	if _, err := fmt.Fscan(stdout, &temporary, &said); err != nil || said != "<nil>" {
		t.Fatalf("the writer says %q: %v", said, err)
	}
	return temporary, func() { _, _ = cmd.Process.Kill(), cmd.Wait() }
}

func wantEntries(t *testing.T, when, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%s there are\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWriteRemovesWhatKilledWritersLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	others := []string{"state.json.123", "state.json.replypath-", "state.json.replypath-1.txt", "state.json.replypath-1x", "state.json.replypath--1",
		"other.json.replypath-1", "xstate.json.replypath-1", ".replypath-1"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(path+".replypath-2", 0o700), os.Symlink("other.json.replypath-1", path+".replypath-3"), unix.Mkfifo(path+".replypath-4", 0o600)); err != nil {
		t.Fatal(err)
	}
	others = append(others, "state.json", "state.json.replypath-2", "state.json.replypath-3", "state.json.replypath-4")
	write := func(text string) {
		t.Helper()
		if err := Write(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	}
	temporary, kill := startWriter(t, path)
	write("beside a writer")
	wantEntries(t, "beside a writer", dir, append(slices.Clone(others), temporary)...)
	kill()
	write("after it was killed")
	wantEntries(t, "after it was killed", dir, others...)
}

func TestWritersOfOneFileDoNotDisturbEachOther(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 50 {
				if err := Write(path, []byte("text"), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	wantEntries(t, "in the end", dir, "state.json")
}

// Nothing but a regular file is read, locked or replaced, whatever else is at its path, and nobody waits for it.
func TestOnlyRegularFilesAreUsed(t *testing.T) {
	for kind, put := range map[string]func(path string) error{
		"a FIFO":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to a file": func(path string) error {
			return errors.Join(os.WriteFile(path+"-real", nil, 0o600), os.Symlink(path+"-real", path))
		},
		"a link to nothing": func(path string) error { return os.Symlink(path+"-none", path) },
		"a link to a FIFO": func(path string) error {
			return errors.Join(unix.Mkfifo(path+"-real", 0o600), os.Symlink(path+"-real", path))
		},
		"a socket": func(path string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				l.Close()
			}
			return err
		},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		_, readErr := Read(path)
		_, openErr := Open(path, os.O_RDWR|os.O_CREATE, 0o600)
		for what, err := range map[string]error{"read": readErr, "opened": openErr, "written": Write(path, []byte("text"), 0o600)} {
			if !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s is %s: %v", kind, what, err)
			}
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is not what it was: %v", kind, err)
		}
		if _, err := os.Lstat(path + "-none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what it leads to was made: %v", kind, err)
		}
	}
	if _, err := Read(os.DevNull); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a device is read: %v", err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is read: %v", err)
	}
}
