package trustedfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is the number of symbolic links in one path that the kernel follows too (MAXSYMLINKS).
const maxLinks = 40

// entry is a component of a path: a directory, a symbolic link or the file.
type entry struct {
	path   string // without links, but for itself
	stat   unix.Stat_t
	parent *entry // the directory that has it; nil for /
}

func (e *entry) is(fileType uint32) bool { return e.stat.Mode&unix.S_IFMT == fileType }
func (e *entry) perm() uint32            { return e.stat.Mode & 0o7777 }

// checker decides whether a component is trusted.
type checker interface {
	check(*entry) error
}

// walker resolves one path.
type walker struct {
	checker
	path    string            // as it was given, for errors
	checked func(path string) // is called after the check of each component, for tests
	root    int               // descriptor of /
	at      int               // descriptor of the directory that has been reached
	dir     *entry            // that directory
	rest    []string          // components that are still to be resolved
	links   int               // symbolic links that were followed
}

// found is the file at the end of a path, and the directory that has it.
type found struct {
	*entry
	fd, dir int // descriptors; fd is O_PATH
	name    string
}

func (f *found) close() {
	closeAll(f.fd, f.dir)
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing was written to it
		}
	}
}

// resolve resolves an absolute path, and returns its file, which the caller must close. The errors of the kernel are
// *fs.PathError with the whole path.
func resolve(path string, c checker, checked func(string)) (*found, error) {
	w := &walker{checker: c, path: path, checked: checked, root: -1, at: -1, rest: split(path)}
	f, err := w.walk()
	closeAll(w.root)
	if err != nil {
		closeAll(w.at)
	}
	return f, err
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// fail names the whole path in an error of the kernel.
func (w *walker) fail(err error) error { return &fs.PathError{Op: "open", Path: w.path, Err: err} }

// toRoot goes back to /.
func (w *walker) toRoot() (err error) {
	if w.root < 0 {
		if w.root, err = open(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY); err != nil {
			return w.fail(err)
		}
	}
	closeAll(w.at)
	if w.at, err = unix.FcntlInt(uintptr(w.root), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return w.fail(err)
	}
	w.dir = &entry{path: "/"}
	if err := unix.Fstat(w.at, &w.dir.stat); err != nil {
		return w.fail(err)
	}
	return w.check(w.dir)
}

// walk resolves all components. After an error the caller closes w.at.
func (w *walker) walk() (*found, error) {
	if err := w.toRoot(); err != nil {
		return nil, err
	}
	for len(w.rest) > 0 {
		name := w.rest[0]
		w.rest = w.rest[1:]
		fd, e, err := w.step(name)
		if err != nil {
			return nil, err
		}
		switch {
		case e.is(unix.S_IFLNK):
			err = w.follow(fd)
			closeAll(fd)
		case len(w.rest) == 0:
			return &found{entry: e, fd: fd, dir: w.at, name: name}, nil
		case e.is(unix.S_IFDIR):
			closeAll(w.at)
			w.at, w.dir = fd, e
		default:
			closeAll(fd)
			err = w.fail(unix.ENOTDIR)
		}
		if err != nil {
			return nil, err
		}
	}
	fd, err := open(w.at, ".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, w.fail(err)
	}
	return &found{entry: w.dir, fd: fd, dir: w.at, name: "."}, nil
}

// step opens a component without following it, and checks it.
func (w *walker) step(name string) (fd int, e *entry, err error) {
	// O_DIRECTORY makes autofs mount what the path goes through.
	fd, err = -1, unix.ENOTDIR
	if len(w.rest) > 0 {
		fd, err = open(w.at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY)
	}
	if err == unix.ENOTDIR {
		fd, err = open(w.at, name, unix.O_PATH|unix.O_NOFOLLOW)
	}
	if err != nil {
		return -1, nil, w.fail(err)
	}
	e = &entry{path: filepath.Join(w.dir.path, name), parent: w.dir}
	if err = unix.Fstat(fd, &e.stat); err != nil {
		err = w.fail(err)
	} else {
		err = w.check(e)
	}
	if err != nil {
		closeAll(fd)
		return -1, nil, err
	}
	w.checked(e.path)
	return fd, e, nil
}

// follow puts the target of a symbolic link before the components that are left.
func (w *walker) follow(link int) error {
	if w.links++; w.links > maxLinks {
		return w.fail(unix.ELOOP)
	}
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", buffer)
	if err != nil {
		return w.fail(err)
	}
	target := string(buffer[:n])
	w.rest = append(split(target), w.rest...)
	if filepath.IsAbs(target) {
		return w.toRoot()
	}
	return nil
}

// open opens a file close-on-exec, again when a signal interrupts it.
func open(dir int, name string, flags int) (fd int, err error) {
	for {
		if fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0); err != unix.EINTR {
			return fd, err
		}
	}
}

// reopen opens the file that was found for reading. It fails if the name has another file by now.
func (f *found) reopen(path string) (*os.File, error) {
	fd, err := open(f.dir, f.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil {
		closeAll(fd)
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if now.Dev != f.stat.Dev || now.Ino != f.stat.Ino {
		closeAll(fd)
		return nil, &fs.PathError{Op: "open", Path: path, Err: unix.ESTALE}
	}
	return os.NewFile(uintptr(fd), path), nil
}
