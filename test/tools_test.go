package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wrappers is a folder with every iptables command, each a script that notes how it was called and then is the real one.
type wrappers struct {
	t   *testing.T
	dir string
	log string
}

func newWrappers(t *testing.T) wrappers {
	t.Helper()
	top := t.TempDir()
	ts := wrappers{t, filepath.Join(top, "bin"), filepath.Join(top, "log")}
	if err := os.Mkdir(ts.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"iptables", "ip6tables"} {
		for _, backend := range []string{"", "-nft", "-legacy"} {
			for _, kind := range []string{"", "-restore", "-save"} {
				ts.replace(base+backend+kind, `exec "$real" "$@"`)
			}
		}
	}
	return ts
}

// replace makes a command do this; $real is the command that it stands for.
func (ts wrappers) replace(name, body string) {
	ts.t.Helper()
	real, err := exec.LookPath(name)
	if err != nil {
		ts.t.Fatal(err)
	}
	text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >> %s\nreal=%s\n%s\n", name, ts.log, real, body)
	if err := os.WriteFile(filepath.Join(ts.dir, name), []byte(text), 0o755); err != nil {
		ts.t.Fatal(err)
	}
}

// useWrappers makes the box's program find only these commands.
func (b *box) useWrappers(ts wrappers) { b.env = []string{"PATH=" + ts.dir} }

// calls are the calls since the last time, sorted.
func (ts wrappers) calls() []string {
	ts.t.Helper()
	text, err := os.ReadFile(ts.log)
	if err != nil && !os.IsNotExist(err) {
		ts.t.Fatal(err)
	}
	if err := os.RemoveAll(ts.log); err != nil {
		ts.t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(calls)
	return calls
}
