package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestReadWithoutFilesIsNotExist(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"uplinks.d does not exist":       {},
		"uplinks.d has no uplink's file": {"uplinks.d/README": "", "uplinks.d/.lte.toml": lte},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readConfig(writeFiles(t, files)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Read: %v, want fs.ErrNotExist", err)
			}
		})
	}
}

func TestReadReportsUnreadableFiles(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(path string) error // makes path unreadable
		want  string                  // of the error, after the path
	}{
		{"a folder", func(path string) error { return os.Mkdir(path, 0o755) }, " is not a regular file"},
		{"a FIFO", func(path string) error { return syscall.Mkfifo(path, 0o644) }, " is not a regular file"},
		{"a dangling link", func(path string) error { return os.Symlink("nothing", path) }, ": dangling symbolic link"},
		{"a link to itself", func(path string) error { return os.Symlink(path, path) }, ": too many levels of symbolic links"},
		{"a link of another user", func(path string) error {
			return errors.Join(os.WriteFile(path+"-real", []byte("secret"), 0o600), os.Symlink(path+"-real", path), os.Lchown(path, 12345, 0))
		}, " belongs to user 12345"},
		{"a file that every user can write", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o666), os.Chmod(path, 0o666))
		}, " (mode 0666): chmod o-w"},
		{"a large file", func(path string) error { return os.WriteFile(path, make([]byte, maxSize+1), 0o644) }, ": larger than 1 MiB"},
	}
	for _, test := range tests {
		for _, file := range []string{"replypath.toml", "uplinks.d/lte.toml"} {
			t.Run(test.name+" as "+filepath.Base(file), func(t *testing.T) {
				path := writeFiles(t, map[string]string{"uplinks.d/bad.toml": "mistake = 1"})
				bad := filepath.Join(filepath.Dir(path), file)
				if err := test.spoil(bad); err != nil {
					t.Fatal(err)
				}
				_, err := readConfig(path)
				var mistakes Mistakes
				if err == nil || !strings.Contains(err.Error(), bad+test.want) || errors.As(err, &mistakes) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Read: %v, want an error that says %q", err, bad+test.want)
				}
			})
		}
	}
}

func TestReadReportsUplinksDirThatIsAFile(t *testing.T) {
	path := writeFiles(t, map[string]string{"uplinks.d": "a file"})
	if _, err := readConfig(path); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), "uplinks.d") {
		t.Errorf("Read: %v, want ENOTDIR for uplinks.d", err)
	}
}

func TestReadReportsMissingPermission(t *testing.T) {
	for _, file := range []string{"replypath.toml", "uplinks.d/lte.toml", "uplinks.d"} {
		t.Run(file, func(t *testing.T) {
			path := writeFiles(t, map[string]string{"replypath.toml": "mistake = 1", "uplinks.d/lte.toml": lte})
			folder := filepath.Dir(path)
			closed := filepath.Join(folder, file)
			chmod(t, filepath.Dir(folder), 0o755) // the parent of t.TempDir is created with mode 0700
			chmod(t, closed, 0)
			err := asUnprivileged(func() error {
				_, err := readConfig(path)
				return err
			})
			var mistakes Mistakes
			if !errors.Is(err, fs.ErrPermission) || errors.As(err, &mistakes) || !strings.Contains(err.Error(), closed) {
				t.Errorf("Read: %v, want fs.ErrPermission for %s", err, closed)
			}
			chmod(t, closed, 0o755)
		})
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// asUnprivileged calls f with the file system UID of nobody, on a thread that ends with it (setfsuid(2)).
func asUnprivileged(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return <-done
}
