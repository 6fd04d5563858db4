package trustedfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	user    = 12345
	another = 12346
)

// tree is a directory of a test, with the paths below it.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) tree {
	t.Helper()
	return tree{t, t.TempDir()}
}

func (d tree) path(name string) string { return filepath.Join(d.dir, name) }

func (d tree) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// mkdir makes a directory of the user.
func (d tree) mkdir(name string, uid int, mode fs.FileMode) {
	d.t.Helper()
	d.must(errors.Join(os.Mkdir(d.path(name), 0o755), os.Chown(d.path(name), uid, 0), os.Chmod(d.path(name), mode)))
}

// write makes a file of the user whose text is its name.
func (d tree) write(name string, uid int, mode fs.FileMode) {
	d.t.Helper()
	d.must(errors.Join(os.WriteFile(d.path(name), []byte(name), 0o644), os.Chown(d.path(name), uid, 0), os.Chmod(d.path(name), mode)))
}

// link makes a symbolic link of the user.
func (d tree) link(target, name string, uid int) {
	d.t.Helper()
	d.must(errors.Join(os.Symlink(target, d.path(name)), os.Lchown(d.path(name), uid, 0)))
}

func read(f *os.File, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	return string(text), err
}

// build makes directories, files and links of root and of two users.
func build(t *testing.T) tree {
	d := newTree(t)
	d.mkdir("root", 0, 0o755)
	d.mkdir("user", user, 0o755)
	d.mkdir("sticky", 0, 0o777|fs.ModeSticky)
	d.mkdir("open", 0, 0o777)
	d.mkdir("group", 0, 0o775)
	d.write("root/file", 0, 0o755)
	d.write("root/open", 0, 0o757)
	d.write("root/ofuser", user, 0o755)
	d.write("user/file", user, 0o755)
	d.write("user/ofroot", 0, 0o755)
	d.write("user/ofanother", another, 0o755)
	d.write("sticky/file", 0, 0o755)
	d.write("sticky/ofuser", user, 0o755)
	d.write("open/file", 0, 0o755)
	d.write("group/file", 0, 0o755)
	d.write("group/ofuser", user, 0o755)
	d.link("file", "root/link", 0)
	d.link("../root/../root/link", "root/twice", 0)
	d.link(d.path("root/link"), "root/absolute", 0)
	d.link(d.path("root/file"), "sticky/link", user)
	d.link(d.path("root/file"), "sticky/rootlink", 0)
	d.link(d.path("root"), "user/hop", user)
	d.link(d.path("user/hop"), "hop", 0)
	d.link(d.path("user/hop"), "root/hop", 0)
	d.link("self", "root/self", 0)
	d.link("gone", "root/dangling", 0)
	return d
}

func TestOpenTrustsRootAndTheOwnerOfTheFile(t *testing.T) {
	d := build(t)
	for path, want := range map[string]string{
		"root/file": "", "root/link": "", "root/twice": "", "root/absolute": "", "root/../root/./file": "",
		"root/ofuser": "", "user/file": "", "sticky/file": "", "sticky/rootlink": "", "group/file": "", "group/ofuser": "",
		"root/open":      "every user can write to",
		"open/file":      "every user can write to",
		"user/ofroot":    "who can put a file of another user in its place",
		"user/ofanother": "who can put a file of another user in its place",
		"user/hop/file":  "who can put a file of another user in its place",
		"hop/file":       "who can put a file of another user in its place",
		"root/hop/file":  "who can put a file of another user in its place",
		"sticky/link":    "every user can make files in",
		"sticky/ofuser":  "every user can make files in",
		"root":           "not a regular file",
		"root/self":      "too many levels of symbolic links",
		"root/dangling":  "no such file",
		"root/file/x":    "not a directory",
		"root/none":      "no such file",
	} {
		text, err := read(Open(d.path(path)))
		switch {
		case want == "" && (err != nil || !strings.HasSuffix(d.path(path), text) && !strings.HasSuffix(text, "/file")):
			t.Errorf("%s: %q, %v", path, text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestOpenProgramTrustsRootAlone(t *testing.T) {
	d := build(t)
	d.write("root/plain", 0, 0o644)
	d.write("root/group", 0, 0o775)
	for path, want := range map[string]string{
		"root/file": "", "root/link": "", "root/twice": "", "root/absolute": "", "sticky/file": "", "sticky/rootlink": "",
		"root/plain":    "is not executable",
		"root/group":    "root/group can be modified",
		"root/open":     "root/open can be modified",
		"root/ofuser":   "root/ofuser can be modified",
		"user/file":     "user can be modified",
		"user/ofroot":   "user can be modified",
		"open/file":     "open can be modified",
		"group/file":    "group can be modified",
		"sticky/ofuser": "sticky/ofuser can be modified",
		"sticky/link":   "sticky/link can be modified",
		"hop/file":      "user can be modified",
		"root/hop/file": "user can be modified",
		"root":          "not a regular file",
		"root/none":     "no such file",
	} {
		f, err := OpenProgram(d.path(path))
		if err == nil {
			f.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// Whatever component is exchanged after its check, the file that is opened is the one that was there before.
func TestExchangedComponentIsNotOpened(t *testing.T) {
	for _, exchanged := range []string{"root", "root/below", "root/below/link"} {
		t.Run(exchanged, func(t *testing.T) {
			d := newTree(t)
			d.mkdir("root", 0, 0o755)
			d.mkdir("root/below", 0, 0o755)
			d.write("root/below/file", 0, 0o755)
			d.link("file", "root/below/link", 0)
			d.mkdir("evil", user, 0o755)
			d.mkdir("evil/below", user, 0o755)
			d.write("evil/below/link", user, 0o755)
			d.write("evil/link", user, 0o755)
			exchange := func(path string) {
				if path == d.path(exchanged) {
					d.must(errors.Join(os.Rename(path, d.path("away")), os.Rename(d.path("evil"+strings.TrimPrefix(strings.TrimPrefix(exchanged, "root/below"), "root")), path)))
				}
			}
			f, err := openProgram(d.path("root/below/link"), exchange)
			d.must(err)
			defer f.Close()
			text, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
			if err != nil || string(text) != "root/below/file" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// A file that is exchanged between its check and its opening is an error.
func TestExchangedFileIsNotRead(t *testing.T) {
	d := build(t)
	text, err := read(openData(d.path("root/file"), func(path string) {
		if path == d.path("root/file") {
			d.must(os.Rename(d.path("user/file"), path))
		}
	}))
	if !errors.Is(err, syscall.ESTALE) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNoDescriptorIsLeftOpen(t *testing.T) {
	d := build(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		d.must(err)
		return len(entries)
	}
	before := count()
	for _, path := range []string{"root/file", "root/twice", "root/hop/file", "sticky/link", "root/self", "root/none", "root", "root/file/x", "open/file"} {
		_, _ = read(Open(d.path(path)))
		if f, err := OpenProgram(d.path(path)); err == nil {
			f.Close()
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}
