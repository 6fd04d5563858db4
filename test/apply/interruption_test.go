package apply

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

func TestConcurrentAppliesAgree(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if r := b.Run("apply"); r.Status != 0 {
					t.Errorf("one of many: %s", r)
				}
			})
		}
		all.Wait()
		if r := b.Must(0, "plan"); r.Stdout != "" {
			t.Errorf("plan after many at once: %s", r)
		}
		for _, family := range []int{4, 6} {
			if backend == box.Nftables {
				break // an empty plan has each hook once
			}
			if n := strings.Count(b.Iptables(family, "-t", "mangle", "-S", "PREROUTING"), "-j REPLYPATH-PRE"); n != 1 {
				t.Errorf("IPv%d has %d jumps", family, n)
			}
		}
	})
}

// A starting service waits for running applies, and applies that wait leave the work to it.
func TestServiceStartsDuringConcurrentApplies(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		for range 5 {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if r := b.Run("apply"); r.Status != 0 {
						t.Errorf("one of many: %s", r)
					}
				})
			}
			s := b.Start()
			all.Wait()
			b.Must(0, "plan")
			s.Stop()
			b.Must(0, "flush")
		}
	})
}

// interruptionPoints are spread over the time that an apply takes, from its first look to its last.
const interruptionPoints = 4

func TestKilledApplyAndFlushCanBeRepeated(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			box.EachFirewall(t, func(t *testing.T, backend string) {
				b := box.New(t, world.TwoISPs(t), backend)
				box.LegacyTable(b.Gateway)
				before := box.TakeSnapshot(b.Gateway)
				began := time.Now()
				b.Apply()
				whole := time.Since(began)
				for i := range interruptionPoints {
					for _, command := range []string{"flush", "apply"} {
						interruptAfter(b, signal, whole*time.Duration(i)/interruptionPoints, command)
					}
				}
				b.Apply()
				b.Must(0, "flush")
				before.WantSame(t, "flush", b.Gateway)
			})
		})
	}
}

// interruptAfter runs the program and sends it a signal in the middle.
func interruptAfter(b *box.Box, signal syscall.Signal, after time.Duration, command string) {
	b.T.Helper()
	cmd := b.Gateway.Command(b.T.Context(), box.Binary, command, "--config", b.Config, "--state", b.Dir+"/state")
	if err := cmd.Start(); err != nil {
		b.T.Fatal(err)
	}
	early := time.AfterFunc(after, func() { cmd.Process.Signal(signal) })
	defer early.Stop()
	cmd.Wait()
}

// An interrupted apply leaves the old state or the whole new one.
func TestInterruptedApplyLeavesAllOrNothing(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		box.LegacyTable(b.Gateway)
		before := box.TakeSnapshot(b.Gateway)
		for i := range interruptionPoints {
			interruptAfter(b, syscall.SIGINT, time.Duration(i*60)*time.Millisecond, "apply")
			if b.Run("plan").Status == 0 {
				b.Must(0, "flush")
			}
			before.WantSame(t, fmt.Sprintf("interrupt %d", i), b.Gateway)
		}
	})
}

func TestInterruptedWaitForTheXtablesLockLeavesNothing(t *testing.T) {
	for _, used := range []bool{false, true} {
		t.Run(fmt.Sprintf("tables in use %t", used), func(t *testing.T) {
			b := box.New(t, world.TwoISPs(t), `backend = "legacy"`)
			if used {
				box.LegacyTable(b.Gateway)
			}
			before := box.TakeSnapshot(b.Gateway)
			lock := holdXtablesLock(t)
			cmd := b.Gateway.Command(t.Context(), box.Binary, "apply", "--config", b.Config, "--state", b.Dir+"/state")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lock.awaitWaiter(t)
			cmd.Process.Signal(syscall.SIGINT)
			if err := cmd.Wait(); err == nil {
				t.Error("an interrupted apply says that it is done")
			}
			lock.release() // not before the program has ended
			if !used {
				box.LegacyTable(b.Gateway)
				before["iptables-legacy-save"], before["ip6tables-legacy-save"] = box.TakeSnapshot(b.Gateway)["iptables-legacy-save"], box.TakeSnapshot(b.Gateway)["ip6tables-legacy-save"]
			}
			before.WantSame(t, "interrupt", b.Gateway)
		})
	}
}

func TestApplyWaitsForTheXtablesLock(t *testing.T) {
	b := box.New(t, world.TwoISPs(t), `backend = "legacy"`)
	lock := holdXtablesLock(t)
	done := make(chan box.Result, 1)
	go func() { done <- b.Run("apply") }()
	lock.awaitWaiter(t)
	lock.release()
	if r := <-done; r.Status != 0 {
		t.Errorf("apply that waited for the lock: %s", r)
	}
	b.Must(0, "plan")
}

// xtablesLock is the lock that the legacy commands hold while they work.
type xtablesLock struct{ file *os.File }

func holdXtablesLock(t *testing.T) xtablesLock {
	t.Helper()
	f, err := os.OpenFile("/run/xtables.lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return xtablesLock{f}
}

func (l xtablesLock) release() { l.file.Close() }

// awaitWaiter returns when a process waits for the lock (proc_locks(5): "->").
func (l xtablesLock) awaitWaiter(t *testing.T) {
	t.Helper()
	info, err := l.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	box.Eventually(t, box.EventualTimeout, "a process waits for the xtables lock", func() bool {
		text, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				return true
			}
		}
		return false
	})
}
