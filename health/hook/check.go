package hook

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// CheckProgram returns an error if the program must not be run as root, as a user other than root can modify or replace it.
// Symbolic links are followed.
func CheckProgram(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not an absolute path: it must begin with /", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("program not found: %w", err)
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return fmt.Errorf("program not found: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", real)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable: chmod +x %[1]s", real)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("users other than its owner can modify %s (mode %#o), which runs as root: chmod go-w %[1]s", real, info.Mode().Perm())
	}
	if err := checkRootOwned(real, info); err != nil {
		return err
	}
	for _, p := range []string{path, real} {
		if err := checkParentDirs(filepath.Dir(p)); err != nil {
			return err
		}
	}
	return nil
}

// checkParentDirs checks a directory and all of its parents. With the sticky bit only the owner of a file can replace it.
func checkParentDirs(dir string) error {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("check the program's directory: %w", err)
		}
		if err := checkRootOwned(dir, info); err != nil {
			return err
		}
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("users other than root can write to %s (mode %#o) and replace the program: chmod go-w %[1]s", dir, info.Mode().Perm())
		}
		above := filepath.Dir(dir)
		if above == dir {
			return nil
		}
		dir = above
	}
}

func checkRootOwned(path string, info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != 0 {
		return fmt.Errorf("%s is not owned by root: chown root %[1]s", path)
	}
	return nil
}
