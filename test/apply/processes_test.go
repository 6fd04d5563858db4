package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// started are the processes that an apply starts, by their kind.
type started struct{ restores, others int }

func startedProcesses(ts box.Wrappers) (s started) {
	for _, call := range ts.Calls() {
		if command, args, _ := strings.Cut(call, " "); strings.HasSuffix(command, "-restore") && args != "--version" {
			s.restores++
		} else {
			s.others++
		}
	}
	return s
}

func TestProcessCountIsIndependentOfUplinks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		first, again := map[int]started{}, map[int]started{}
		for _, n := range []int{2, 8, 31} {
			b := box.New(t, world.ISPs(t, n, world.Options{Spoofable: true}), backend)
			box.LegacyTable(b.Gateway)
			ts := box.NewWrappers(t)
			b.UseWrappers(ts)
			b.Must(0, "apply")
			first[n] = startedProcesses(ts)
			b.Must(0, "apply")
			again[n] = startedProcesses(ts)
			b.Must(0, "plan")
		}
		for n, s := range first {
			if s.restores > 2 || again[n].restores != 0 {
				t.Errorf("%d uplinks: %d restores, and %d when nothing is to be done", n, s.restores, again[n].restores)
			}
			if s != first[2] || again[n] != again[2] {
				t.Errorf("%d uplinks start %v and %v, 2 uplinks %v and %v", n, s, again[n], first[2], again[2])
			}
		}
		t.Logf("apply from nothing starts %+v, apply of nothing %+v", first[2], again[2])
	})
}

// The restore command waits in the middle of an apply, while the program's sockets are counted.
func TestApplyUsesTwoNetlinkSockets(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t), `backend = "legacy"`)
	ts := box.NewWrappers(t)
	here, on := filepath.Join(t.TempDir(), "here"), filepath.Join(t.TempDir(), "on")
	for _, fifo := range []string{here, on} {
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ts.Replace("iptables-legacy-restore", fmt.Sprintf(`case $1 in --version) ;; *) echo $PPID > %s; read go < %s;; esac
exec "$real" "$@"`, here, on))
	b.UseWrappers(ts)
	done := make(chan box.Result, 1)
	go func() { done <- b.Run("apply") }()
	pid, err := os.ReadFile(here)
	if err != nil {
		t.Fatal(err)
	}
	if n := netlinkSockets(t, strings.TrimSpace(string(pid))); n != 2 { // one to read by, one to write by
		t.Errorf("%d netlink sockets are open in the middle of an apply", n)
	}
	if err := os.WriteFile(on, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.Status != 0 {
		t.Error(r)
	}
}

// netlinkSockets counts a process's sockets of rtnetlink (proc_pid_net(5)).
func netlinkSockets(t *testing.T, pid string) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/" + pid + "/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	var inodes []string
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[1] == "0" {
			inodes = append(inodes, f[9])
		}
	}
	files, err := filepath.Glob("/proc/" + pid + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && slices.Contains(inodes, strings.Trim(to, "socket:[]")) {
			n++
		}
	}
	return n
}
