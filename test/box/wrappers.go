package box

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/test/world"
)

// Listings returns the processes that list or restore rules. Calls that find out the commands' backend at the start are left out, and
// the reading of the legacy backend's counters.
func (ts Wrappers) Listings() (calls []string) {
	return slices.DeleteFunc(ts.Calls(), func(call string) bool {
		return call == "" || strings.HasSuffix(call, "--version") || strings.HasSuffix(call, "-v -S")
	})
}

// Wrappers is a folder with every iptables command, each a script that notes how it was called and then is the real one.
type Wrappers struct {
	t    *testing.T
	Dir  string
	log  string
	read *int // how much of it Calls has returned, in bytes
}

// NewWrappers returns a directory for wrappers of commands, and its log.
func NewWrappers(t *testing.T) Wrappers {
	t.Helper()
	top := t.TempDir()
	ts := Wrappers{t, filepath.Join(top, "bin"), filepath.Join(top, "log"), new(int)}
	if err := os.Mkdir(ts.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"iptables", "ip6tables"} {
		for _, backend := range []string{"", "-nft", "-legacy"} {
			for _, kind := range []string{"", "-restore", "-save"} {
				ts.Replace(base+backend+kind, `exec "$real" "$@"`)
			}
		}
	}
	return ts
}

// Replace makes a command do this; $real is the command that it stands for.
func (ts Wrappers) Replace(name, body string) {
	ts.t.Helper()
	real, err := exec.LookPath(name)
	if err != nil {
		ts.t.Fatal(err)
	}
	text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >> %s\nreal=%s\n%s\n", name, ts.log, real, body)
	world.WriteProgram(ts.t, filepath.Join(ts.Dir, name), []byte(text), 0o755)
}

// UseWrappers makes the box's program find only these commands.
func (b *Box) UseWrappers(ts Wrappers) { b.Env = []string{"PATH=" + ts.Dir} }

// Calls returns the calls since the last time, sorted. The file of the calls is only read, so that none is lost that is written meanwhile.
func (ts Wrappers) Calls() []string {
	ts.t.Helper()
	text, err := os.ReadFile(ts.log)
	if err != nil && !os.IsNotExist(err) {
		ts.t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(text[*ts.read:])), "\n")
	*ts.read = len(text)
	slices.Sort(calls)
	return calls
}
