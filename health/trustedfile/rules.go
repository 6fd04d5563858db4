package trustedfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Error says why a file is not opened although it exists.
type Error struct {
	What   string // what is wrong, on what
	Remedy string // what to do
}

func (e *Error) Error() string { return e.What + ": " + e.Remedy }

// Write permissions.
const (
	groupWrite  = 0o020
	othersWrite = 0o002
	anyExecute  = 0o111
	sticky      = unix.S_ISVTX
)

// Open opens a regular file to be read. The file may belong to any user, but nobody else than root, the user of this process
// and the owner of the file may be able to put another file in its place: a link of a user to a file of root is refused, as is
// what every user can write. Members of the group of a directory are trusted. Opening a FIFO does not block.
func Open(path string) (*os.File, error) { return openData(path, func(string) {}) }

func openData(path string, checked func(string)) (*os.File, error) {
	f, rules, err := resolveData(path, checked)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if !f.is(unix.S_IFREG) {
		return nil, &Error{path + " is not a regular file", "name a file"}
	}
	if err := rules.checkOwners(f.entry); err != nil {
		return nil, err
	}
	return f.reopen(path)
}

// OpenDir opens a directory of this user in which files are written. No other user than root and the one of this process may be
// able to put a file there, or another directory in its place.
func OpenDir(path string) (*os.Root, error) { return openDir(path, func(string) {}) }

func openDir(path string, checked func(string)) (*os.Root, error) {
	f, rules, err := resolveData(path, checked)
	if err != nil {
		return nil, err
	}
	defer f.close()
	switch {
	case !f.is(unix.S_IFDIR):
		return nil, &Error{path + " is not a directory", "remove it"}
	case len(rules.others) > 0:
		other := rules.others[0]
		return nil, &Error{fmt.Sprintf("%s is not used: %s belongs to user %d", path, other.path, other.stat.Uid), "chown -h root " + other.path}
	case f.perm()&(groupWrite|othersWrite) != 0:
		return nil, &Error{fmt.Sprintf("%s is not used: other users can write to it (mode %#o)", path, f.perm()), "chmod go-w " + path}
	}
	return os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", f.fd))
}

// dataRules are the rules for a file that is read.
type dataRules struct {
	path   string
	self   uint32 // the user of this process
	others []*entry
}

// resolveData follows a path, relative or not, by the rules for a file that is read.
func resolveData(path string, checked func(string)) (*found, *dataRules, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: find the working directory: %w", path, err)
	}
	rules := &dataRules{path: path, self: uint32(os.Geteuid())}
	f, err := resolve(absolute, rules, checked)
	return f, rules, err
}

// check implements checker. It collects the components of other users: whether they are trusted depends on the file's owner.
func (r *dataRules) check(e *entry) error {
	stickyDir := e.is(unix.S_IFDIR) && e.perm()&sticky != 0
	if (e.is(unix.S_IFDIR) && !stickyDir || e.is(unix.S_IFREG)) && e.perm()&othersWrite != 0 {
		return &Error{fmt.Sprintf("%s is not read: every user can write to %s (mode %#o)", r.path, e.path, e.perm()), "chmod o-w " + e.path}
	}
	if e.stat.Uid == 0 || e.stat.Uid == r.self || e.is(unix.S_IFDIR) && e.stat.Uid == unmappedUser() {
		return nil
	}
	if e.parent != nil && e.parent.perm()&othersWrite != 0 {
		return &Error{fmt.Sprintf("%s is not read: every user can make files in %s, and %s belongs to user %d", r.path, e.parent.path, e.path, e.stat.Uid),
			"move it to a directory of root, or chown -h root " + e.path}
	}
	r.others = append(r.others, e)
	return nil
}

// checkOwners refuses components of another user than the file's.
func (r *dataRules) checkOwners(file *entry) error {
	for _, e := range r.others {
		if e.stat.Uid != file.stat.Uid {
			return &Error{fmt.Sprintf("%s is not read: %s belongs to user %d, who can put a file of another user in its place", r.path, e.path, e.stat.Uid),
				"chown -h root " + e.path}
		}
	}
	return nil
}

// unmappedUser returns the user ID that owners have whom this user namespace does not map (user_namespaces(7)); in the initial
// one it returns an ID that no file has.
var unmappedUser = sync.OnceValue(func() uint32 {
	const nobody, none = 65534, ^uint32(0)
	ids, err := os.ReadFile("/proc/self/uid_map")
	if f := strings.Fields(string(ids)); err != nil || len(f) == 3 && f[0] == "0" && f[2] == "4294967295" {
		return none
	}
	return nobody
})

// OpenProgram opens a program that root runs. The descriptor is O_PATH: it can be executed, not read. Every component of the
// path must belong to root and be closed to writers other than root; only sticky directories may be writable.
func OpenProgram(path string) (*os.File, error) { return openProgram(path, func(string) {}) }

func openProgram(path string, checked func(string)) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, &Error{fmt.Sprintf("%q is not an absolute path", path), "write one, which begins with /"}
	}
	f, err := resolve(path, programRules{path}, checked)
	if err != nil {
		return nil, err
	}
	switch {
	case !f.is(unix.S_IFREG):
		f.close()
		return nil, &Error{f.path + " is not a regular file", "name a program"}
	case f.perm()&anyExecute == 0:
		f.close()
		return nil, &Error{f.path + " is not executable", "chmod +x " + f.path}
	}
	closeAll(f.dir)
	return os.NewFile(uintptr(f.fd), f.path), nil
}

// programRules are the rules for a program.
type programRules struct{ path string }

// check implements checker.
func (r programRules) check(e *entry) error {
	remedy := ""
	switch stickyDir := e.is(unix.S_IFDIR) && e.perm()&sticky != 0; {
	case e.is(unix.S_IFLNK) && e.stat.Uid != 0:
		remedy = "chown -h root " + e.path
	case e.is(unix.S_IFLNK): // its mode means nothing
	case e.stat.Uid != 0 || e.perm()&(groupWrite|othersWrite) != 0 && !stickyDir:
		remedy = fmt.Sprintf("chown root %s && chmod go-w %[1]s", e.path)
	}
	if remedy == "" {
		return nil
	}
	return &Error{fmt.Sprintf("%s can be modified by users other than root, and root runs %s", e.path, r.path), remedy}
}
