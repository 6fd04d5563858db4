package hook

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/healthtest"
)

func TestProgramThatAnotherUserCanModifyIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		modify func(dir, program string) error
		want   string
	}{
		"writable by its group":              {func(_, p string) error { return os.Chmod(p, 0o775) }, "chmod go-w"},
		"writable by all":                    {func(_, p string) error { return os.Chmod(p, 0o757) }, "chmod go-w"},
		"not executable":                     {func(_, p string) error { return os.Chmod(p, 0o644) }, "chmod +x"},
		"owned by another":                   {func(_, p string) error { return os.Chown(p, 12345, 0) }, "chown root"},
		"missing":                            {func(_, p string) error { return os.Remove(p) }, "no such file"},
		"a directory":                        {func(_, p string) error { _ = os.Remove(p); return os.Mkdir(p, 0o755) }, "not a regular file"},
		"a directory writable by all":        {func(d, _ string) error { return os.Chmod(d, 0o777) }, "replace the program"},
		"a directory owned by another":       {func(d, _ string) error { return os.Chown(d, 12345, 0) }, "chown root"},
		"a parent directory writable by all": {func(d, _ string) error { return os.Chmod(filepath.Dir(d), 0o777) }, "replace the program"},
		"a link to a program of another": {func(_, p string) error {
			if err := os.Rename(p, p+"-real"); err != nil {
				return err
			}
			if err := os.Chown(p+"-real", 12345, 0); err != nil {
				return err
			}
			return os.Symlink(p+"-real", p)
		}, "chown root"},
		"a dangling link": {func(_, p string) error { _ = os.Remove(p); return os.Symlink(p+"-gone", p) }, "no such file"},
	} {
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
