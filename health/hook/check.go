package hook

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// CheckProgram says why a program must not be run as root: somebody else could have written it, or could put another in its
// place. A link is followed.
func CheckProgram(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not an absolute path: write it from / on", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("the program cannot be found: %w", err)
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return fmt.Errorf("the program cannot be found: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: name a program", real)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s cannot be executed: chmod +x %[1]s", real)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others than its owner may write %s (mode %#o), and it would run as root: chmod go-w %[1]s", real, info.Mode().Perm())
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

// checkParentDirs looks at a folder and all above it. In one that is sticky nobody can replace what root owns.
func checkParentDirs(dir string) error {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at the program's folder: %w", err)
		}
		if err := checkRootOwned(dir, info); err != nil {
			return err
		}
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("others than root may write %s (mode %#o), and put another program in place: chmod go-w %[1]s", dir, info.Mode().Perm())
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
		return fmt.Errorf("root does not own %s: chown root %[1]s", path)
	}
	return nil
}
