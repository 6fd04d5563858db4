package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// temporaryInfix is between the name of a file and the number that os.CreateTemp gives a temporary file of it.
const temporaryInfix = ".replypath-"

// createTemporary makes a temporary file beside the path. It is locked (flock(2)) as long as it is open: RemoveLeftovers of another
// process leaves it alone.
func createTemporary(path string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+temporaryInfix+"*")
		if err != nil {
			return nil, err
		}
		var st unix.Stat_t
		locked := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err := unix.Fstat(int(f.Fd()), &st); err == nil && st.Nlink > 0 && locked != unix.EWOULDBLOCK {
			return f, nil
		}
		f.Close() // another process took it for a leftover before it was locked
	}
}

// RemoveLeftovers removes the temporary files in the directory that killed processes have left, of the files whose names are ours.
// One that cannot be removed stays: the next call tries again.
func RemoveLeftovers(dir string, ours func(name string) bool) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if name, is := temporaryOf(e); is && ours(name) {
			removeUnlocked(filepath.Join(dir, e.Name()))
		}
	}
}

// temporaryOf returns the name of the file that a directory entry is a temporary file of.
func temporaryOf(e fs.DirEntry) (name string, is bool) {
	at := strings.LastIndex(e.Name(), temporaryInfix)
	if at <= 0 || !e.Type().IsRegular() {
		return "", false
	}
	_, err := strconv.ParseUint(e.Name()[at+len(temporaryInfix):], 10, 32)
	return e.Name()[:at], err == nil
}

// removeUnlocked removes a temporary file that no process writes.
func removeUnlocked(path string) {
	f, err := Open(path, os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.Remove(path)
	}
}
