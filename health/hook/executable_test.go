package hook

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/healthtest"
)

// modifications make a program, in a directory of its own, one that must not be run.
var modifications = map[string]struct {
	modify func(dir, program string) error
	want   string // in the error
}{
	"writable by its group":              {func(_, p string) error { return os.Chmod(p, 0o775) }, "chmod go-w"},
	"writable by all":                    {func(_, p string) error { return os.Chmod(p, 0o757) }, "chmod go-w"},
	"not executable":                     {func(_, p string) error { return os.Chmod(p, 0o644) }, "chmod +x"},
	"owned by another":                   {func(_, p string) error { return os.Chown(p, 12345, 0) }, "chown root"},
	"missing":                            {func(_, p string) error { return os.Remove(p) }, "no such file"},
	"a directory":                        {func(_, p string) error { _ = os.Remove(p); return os.Mkdir(p, 0o755) }, "not a regular file"},
	"a directory writable by all":        {func(d, _ string) error { return os.Chmod(d, 0o777) }, "chmod go-w"},
	"a directory owned by another":       {func(d, _ string) error { return os.Chown(d, 12345, 0) }, "chown root"},
	"a parent directory writable by all": {func(d, _ string) error { return os.Chmod(filepath.Dir(d), 0o777) }, "chmod go-w"},
	"a link to a program of another": {func(_, p string) error {
		if err := os.Rename(p, p+"-real"); err != nil {
			return err
		}
		if err := os.Chown(p+"-real", 12345, 0); err != nil {
			return err
		}
		return os.Symlink(p+"-real", p)
	}, "chown root"},
	"a link of another": {func(_, p string) error {
		return errors.Join(os.Rename(p, p+"-real"), os.Symlink(p+"-real", p), os.Lchown(p, 12345, 0))
	}, "chown -h root"},
	"a link of another in a sticky directory": {func(d, p string) error {
		return errors.Join(os.Rename(p, p+"-real"), os.Symlink(p+"-real", p), os.Lchown(p, 12345, 0), os.Chmod(d, 0o777|fs.ModeSticky))
	}, "chown -h root"},
	"a link by way of a directory of another": {func(d, p string) error {
		user, root := filepath.Join(filepath.Dir(d), "user"), filepath.Join(filepath.Dir(d), "root")
		return errors.Join(os.Mkdir(user, 0o755), os.Rename(d, root), os.Symlink(root, filepath.Join(user, "hop")),
			os.Chown(user, 12345, 0), os.Symlink(filepath.Join(user, "hop"), d))
	}, "user can be modified by users other than root"},
	"an interpreter of another": {func(d, p string) error {
		sh := filepath.Join(d, "sh")
		return errors.Join(copyFile("/bin/sh", sh), os.Chown(sh, 12345, 0), rewrite(p, "#!"+sh+"\n"))
	}, "/sh can be modified by users other than root"},
	"an interpreter whose interpreter is of another": {func(d, p string) error {
		sh, script := filepath.Join(d, "sh"), filepath.Join(d, "script")
		return errors.Join(copyFile("/bin/sh", sh), os.Chown(sh, 12345, 0), os.WriteFile(script, []byte("#!"+sh+"\n"), 0o755), rewrite(p, "#!"+script+"\n"))
	}, "/sh can be modified by users other than root"},
	"an interpreter without absolute path": {func(_, p string) error { return rewrite(p, "#! bin/sh\n") }, "is not an absolute path"},
	"no interpreter":                       {func(_, p string) error { return rewrite(p, "#! \n") }, "names no interpreter"},
	"a long first line":                    {func(_, p string) error { return rewrite(p, "#!/"+strings.Repeat("x", 300)+"\n") }, "is longer than"},
	"its own interpreter":                  {func(_, p string) error { return rewrite(p, "#!"+p+"\n") }, "interpreters"},
	"a dangling link":                      {func(_, p string) error { _ = os.Remove(p); return os.Symlink(p+"-gone", p) }, "no such file"},
}

func TestProgramThatAnotherUserCanModifyIsRefused(t *testing.T) {
	for what, c := range modifications {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "folder")
			program := filepath.Join(dir, "program")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			ran := filepath.Join(dir, "ran")
			if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := CheckProgram(program); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := c.modify(dir, program); err != nil {
				t.Fatal(err)
			}
			if err := CheckProgram(program); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			log := &healthtest.LogBuffer{}
			New(slog.New(slog.NewTextHandler(log, nil))).run(t.Context(), program, health.Event{})
			if _, err := os.Stat(ran); err == nil || !strings.Contains(log.String(), "program not run") {
				t.Errorf("the program ran; the log: %s", log)
			}
		})
	}
	if err := CheckProgram("bin/program"); err == nil {
		t.Error("a relative path is accepted")
	}
}

// rewrite replaces the text of a file, and keeps its mode.
func rewrite(path, text string) error { return os.WriteFile(path, []byte(text), 0o755) }

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// A program, and its interpreter, are exchanged between check and start.
func TestProgramThatWasCheckedIsTheOneThatRuns(t *testing.T) {
	for _, exchanged := range []string{"program", "interpreter"} {
		t.Run(exchanged, func(t *testing.T) {
			dir := t.TempDir()
			program, interpreter, ran := filepath.Join(dir, "program"), filepath.Join(dir, "interpreter"), filepath.Join(dir, "ran")
			if err := errors.Join(copyFile("/bin/sh", interpreter), rewrite(program, "#!"+interpreter+" -e\necho checked $- >>"+ran+"\n"),
				rewrite(filepath.Join(dir, "other"), "#!/bin/sh\necho other >>"+ran+"\n")); err != nil {
				t.Fatal(err)
			}
			log := &healthtest.LogBuffer{}
			r := New(slog.New(slog.NewTextHandler(log, nil)))
			r.onOpen = func(*executable) {
				if err := os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, exchanged)); err != nil {
					t.Error(err)
				}
			}
			r.run(t.Context(), program, health.Event{})
			if text, _ := os.ReadFile(ran); string(text) != "checked e\n" {
				t.Errorf("ran %q; the log: %s", text, log)
			}
		})
	}
}

// The kernel passes the argument of the first line, and the scripts, from the inside out.
func TestScriptOfAScriptRuns(t *testing.T) {
	dir := t.TempDir()
	program, script, ran := filepath.Join(dir, "program"), filepath.Join(dir, "script"), filepath.Join(dir, "ran")
	text := "#!/bin/sh\n{ echo $1; head -n 1 $2; echo $REPLYPATH_PROGRAM; } >" + ran + "\n"
	if err := errors.Join(rewrite(script, text), rewrite(program, "#! \t"+script+"  one argument \n")); err != nil {
		t.Fatal(err)
	}
	log := &healthtest.LogBuffer{}
	New(slog.New(slog.NewTextHandler(log, nil))).run(t.Context(), program, health.Event{})
	if got, _ := os.ReadFile(ran); string(got) != "one argument\n#! \t"+script+"  one argument \n"+program+"\n" {
		t.Errorf("the script wrote %q; the log: %s", got, log)
	}
}

// A binary has argv[0] as configured, by which programs with several names tell them apart.
func TestBinaryRunsByItsName(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "name")
	if err := os.Symlink("/bin/cat", program); err != nil {
		t.Fatal(err)
	}
	x, err := openProgram(program)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	if !slices.Equal(x.args, []string{program}) || len(x.files) != 1 || x.path() != "/proc/self/fd/3" {
		t.Errorf("%q %q", x.path(), x.args)
	}
	log := &healthtest.LogBuffer{}
	New(slog.New(slog.NewTextHandler(log, nil))).run(t.Context(), program, health.Event{ID: 77})
	if !strings.Contains(log.String(), "program finished") || !strings.Contains(log.String(), "77") {
		t.Errorf("the log: %s", log)
	}
}
