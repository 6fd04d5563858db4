// Package atomicfile replaces files so that a reader, or a crash, sees either the old or the new content, and reads them.
//
// At a path is a regular file, or nothing: a FIFO would hang its reader, a device is replaced for good, and a symbolic link leads to the
// file of another program.
package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrNotRegular is the error for a path that has something else than a regular file.
var ErrNotRegular = errors.New("not a regular file")

// Open opens a regular file. It follows no symbolic link, and opening a FIFO does not block.
func Open(path string, flags int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		if other := checkRegular(path); other != nil {
			return nil, other
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkRegular returns an error if the path has something else than a regular file.
func checkRegular(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return notRegular(path)
	}
	return nil
}

func notRegular(path string) error { return &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular} }

// Read returns the content of a regular file.
func Read(path string) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Write replaces the file with a new one of this content and mode. It writes a temporary file in the same directory,
// syncs it to disk and renames it (rename(2)); after an error the old file is still there. It removes the temporary files that killed
// processes have left of this path.
func Write(path string, content []byte, mode fs.FileMode) error {
	if err := checkRegular(path); err != nil {
		return err
	}
	name := filepath.Base(path)
	RemoveLeftovers(filepath.Dir(path), func(of string) bool { return of == name })
	f, err := createTemporary(path)
	if err != nil {
		return err
	}
	defer f.Close() // after Sync nothing can be lost
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
