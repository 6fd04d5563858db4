package iptables

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/marks"
)

// scriptTable returns a Table whose restore command is a script, and a function that counts its runs.
func scriptTable(t *testing.T, script string) (*Table, func() int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "iptables-restore")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho >> $0.calls\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Table{backend: marks.Legacy, command: "iptables", restorePath: path}, func() int {
		calls, _ := os.ReadFile(path + ".calls")
		return len(calls)
	}
}

// Whether the kernel has the matches bpf and policy is asked once, and again after an error that does not tell.
func TestMatchesAreLookedForOnce(t *testing.T) {
	for script, want := range map[string]struct{ has, fails bool }{
		"exit 0": {has: true},
		"echo \"iptables-restore v1.8.9 (legacy): Couldn't load match \\`bpf':No such file or directory\" >&2; exit 2":                    {},
		"echo 'Warning: Extension bpf revision 1 not supported, missing kernel module?' >&2; exit 0":                                      {},
		"echo 'Another app is currently holding the xtables lock; still 3s 0us time ahead to have a chance to grab the lock' >&2; exit 4": {fails: true},
	} {
		table, calls := scriptTable(t, script)
		for range 2 {
			if has, err := table.HasMACBits(t.Context()); has != want.has || (err != nil) != want.fails {
				t.Errorf("%s: %t, %v", script, has, err)
			}
		}
		if once := calls() == 1; once == want.fails {
			t.Errorf("%s: %d calls", script, calls())
		}
		if has, err := table.HasIPsec(t.Context()); has != want.has || (err != nil) != want.fails {
			t.Errorf("%s: match policy: %t, %v", script, has, err)
		}
	}
}

// deleteOld is a change that deletes a chain.
var deleteOld = marks.Change{Delete: []string{marks.Prefix + "OLD"}}

func TestHangingCommandIsKilled(t *testing.T) {
	usual := commandTimeout
	t.Cleanup(func() { commandTimeout = usual })
	commandTimeout = time.Second
	table, calls := scriptTable(t, "exec sleep 1000")
	if err := table.Apply(t.Context(), deleteOld); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "within 1s") || calls() != 1 {
		t.Errorf("%d calls, %v", calls(), err)
	}
}

func TestOrphanOfCommandIsNotWaitedFor(t *testing.T) {
	table, _ := scriptTable(t, "sleep 1000 & echo $! > $0.left")
	t.Cleanup(func() {
		left, err := os.ReadFile(table.restorePath + ".left")
		pid, wrong := strconv.Atoi(strings.TrimSpace(string(left)))
		if err := errors.Join(err, wrong); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("the orphan has ended: the test proves nothing: %v", err)
		}
	})
	if err := table.Apply(t.Context(), marks.Change{}); err != nil {
		t.Error(err)
	}
}

// A second wait for the lock would take as long again.
func TestHeldLockIsWaitedForOnce(t *testing.T) {
	table, calls := scriptTable(t, "echo Another app is currently holding the xtables lock. >&2; exit 4")
	if err := table.Apply(t.Context(), deleteOld); !errors.Is(err, ErrLocked) || calls() != 1 {
		t.Errorf("%d calls, %v", calls(), err)
	}
}
