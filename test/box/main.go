package box

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"replypath/test/world"
)

// Binary is the program under test: built as it is shipped, and copied to where it vanishes with the namespace.
const Binary = "/run/replypath-under-test"

// programVariable names a program that is built already: by make test, or where there is no Go.
const programVariable = "REPLYPATH_PROGRAM"

// Main implements TestMain of a package that runs the program: it enters new namespaces, provides Binary, runs the tests, and
// exits with their status. modes are other programs of the same test binary; each exits when an environment variable
// requests it, and returns otherwise. They run first, in the namespaces that they were started in.
func Main(m *testing.M, modes ...func()) {
	for _, mode := range modes {
		mode()
	}
	world.Enter()
	if err := provide(Binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// provide copies the program under test to a path.
func provide(path string) error {
	if built := os.Getenv(programVariable); built != "" {
		return copyFile(built, path)
	}
	return build(path, "replypath", "CGO_ENABLED=0")
}

// RaceBinary builds the program with the race detector, and returns its path. The program then prints DATA RACE to its
// standard error, and exits with status 66 at the end.
func RaceBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "replypath-race")
	if err := build(path, "replypath-race", "CGO_ENABLED=1", "-race"); err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds the program in the checkout's .build and copies it to a path. Packages whose tests run at the same time
// take turns, and Go links again only what has changed.
func build(path, name, env string, flags ...string) error {
	top, err := checkout()
	if err != nil {
		return err
	}
	built := filepath.Join(top, ".build", "test", name)
	if err := os.MkdirAll(filepath.Dir(built), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(built+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath"}, flags...), "-o", built, "./cmd/replypath")...)
	cmd.Dir, cmd.Env = top, append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program under test: %w\n%s", err, out)
	}
	return copyFile(built, path)
}

// checkout returns the folder of go.mod, which the tests of every package run below.
func checkout() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == "/" {
			return "", fmt.Errorf("no go.mod above the working directory: set %s to a program that is built", programVariable)
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// readSources reads the program's source folders, once: Go's test cache then repeats the tests when one of the files has
// changed, although the tests themselves do not import them.
var readSources = sync.OnceFunc(func() {
	top, err := checkout()
	if err != nil {
		return // the program was built elsewhere
	}
	for _, name := range []string{"go.mod", "go.sum", "cmd", "etc", "health", "marks", "uplinks"} {
		_ = filepath.WalkDir(filepath.Join(top, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			_, _ = os.Stat(path)
			return nil
		})
	}
})
