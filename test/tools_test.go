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

// tools is a folder with every iptables command, each a script that notes how it was called and then is the real one.
type tools struct {
	t   *testing.T
	dir string
	log string
}

func newTools(t *testing.T) tools {
	t.Helper()
	top := t.TempDir()
	ts := tools{t, filepath.Join(top, "bin"), filepath.Join(top, "log")}
	if err := os.Mkdir(ts.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"iptables", "ip6tables"} {
		for _, backend := range []string{"", "-nft", "-legacy"} {
			for _, kind := range []string{"", "-restore", "-save"} {
				ts.script(base+backend+kind, `exec "$real" "$@"`)
			}
		}
	}
	return ts
}

// script makes a command do this; $real is the command that it stands for.
func (ts tools) script(name, what string) {
	ts.t.Helper()
	real, err := exec.LookPath(name)
	if err != nil {
		ts.t.Fatal(err)
	}
	text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >> %s\nreal=%s\n%s\n", name, ts.log, real, what)
	if err := os.WriteFile(filepath.Join(ts.dir, name), []byte(text), 0o755); err != nil {
		ts.t.Fatal(err)
	}
}

// use makes the box's program find only these commands.
func (b *box) use(ts tools) { b.environment = []string{"PATH=" + ts.dir} }

// calls are the calls since the last time, sorted.
func (ts tools) calls() []string {
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
