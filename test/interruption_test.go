package test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"replypath/test/world"
)

func TestConcurrentAppliesAgree(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if r := b.run("apply"); r.status != 0 {
					t.Errorf("one of many: %s", r)
				}
			})
		}
		all.Wait()
		if r := b.must(0, "plan"); r.stdout != "" {
			t.Errorf("plan after many at once: %s", r)
		}
		for _, family := range []int{4, 6} {
			if n := strings.Count(b.iptables(family, "-t", "mangle", "-S", "PREROUTING"), "-j REPLYPATH-PRE"); n != 1 {
				t.Errorf("IPv%d has %d jumps", family, n)
			}
		}
	})
}

// A service that begins waits for those who are at work, and those who wait leave the work to it.
func TestServiceStartsDuringConcurrentApplies(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		for range 5 {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if r := b.run("apply"); r.status != 0 {
						t.Errorf("one of many: %s", r)
					}
				})
			}
			s := b.start()
			all.Wait()
			b.must(0, "plan")
			s.stop()
			b.must(0, "flush")
		}
	})
}

// interruptionPoints are spread over the time that an apply takes, from its first look to its last.
const interruptionPoints = 4

func TestKilledApplyAndFlushCanBeRepeated(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			eachBackend(t, func(t *testing.T, backend string) {
				b := newBox(t, world.TwoISPs(t), backend)
				legacyTable(b.Gateway)
				before := takeSnapshot(b.Gateway)
				began := time.Now()
				b.apply()
				whole := time.Since(began)
				for i := range interruptionPoints {
					for _, command := range []string{"flush", "apply"} {
						b.interruptAfter(signal, whole*time.Duration(i)/interruptionPoints, command)
					}
				}
				b.apply()
				b.must(0, "flush")
				before.wantSame(t, "flush", b.Gateway)
			})
		})
	}
}

// interruptAfter runs the program and sends it a signal in the middle.
func (b *box) interruptAfter(signal syscall.Signal, after time.Duration, command string) {
	b.t.Helper()
	cmd := b.Gateway.Command(b.t.Context(), binary, command, "--config", b.config, "--state", b.dir+"/state")
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	early := time.AfterFunc(after, func() { cmd.Process.Signal(signal) })
	defer early.Stop()
	cmd.Wait()
}

// An interrupt leaves what was there, or all that was asked for.
func TestInterruptedApplyLeavesAllOrNothing(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		legacyTable(b.Gateway)
		before := takeSnapshot(b.Gateway)
		for i := range interruptionPoints {
			b.interruptAfter(syscall.SIGINT, time.Duration(i*60)*time.Millisecond, "apply")
			if b.run("plan").status == 0 {
				b.must(0, "flush")
			}
			before.wantSame(t, fmt.Sprintf("interrupt %d", i), b.Gateway)
		}
	})
}

func TestInterruptedWaitForTheXtablesLockLeavesNothing(t *testing.T) {
	for _, used := range []bool{false, true} {
		t.Run(fmt.Sprintf("tables in use %t", used), func(t *testing.T) {
			b := newBox(t, world.TwoISPs(t), `backend = "legacy"`)
			if used {
				legacyTable(b.Gateway)
			}
			before := takeSnapshot(b.Gateway)
			lock := holdXtablesLock(t)
			cmd := b.Gateway.Command(t.Context(), binary, "apply", "--config", b.config, "--state", b.dir+"/state")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lock.awaitWaiter(t)
			began := time.Now()
			cmd.Process.Signal(syscall.SIGINT)
			if err := cmd.Wait(); err == nil {
				t.Error("an interrupted apply says that it is done")
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("an interrupt takes %s", took)
			}
			lock.release()
			if !used {
				legacyTable(b.Gateway)
				before["iptables-legacy-save"], before["ip6tables-legacy-save"] = takeSnapshot(b.Gateway)["iptables-legacy-save"], takeSnapshot(b.Gateway)["ip6tables-legacy-save"]
			}
			before.wantSame(t, "interrupt", b.Gateway)
		})
	}
}

func TestApplyWaitsForTheXtablesLock(t *testing.T) {
	b := newBox(t, world.TwoISPs(t), `backend = "legacy"`)
	lock := holdXtablesLock(t)
	done := make(chan result, 1)
	go func() { done <- b.run("apply") }()
	lock.awaitWaiter(t)
	lock.release()
	if r := <-done; r.status != 0 {
		t.Errorf("apply that waited for the lock: %s", r)
	}
	b.must(0, "plan")
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

// awaitWaiter returns when somebody waits for the lock (proc_locks(5): "->").
func (l xtablesLock) awaitWaiter(t *testing.T) {
	t.Helper()
	info, err := l.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				return
			}
		}
	}
	t.Fatal("nobody waits for the xtables lock")
}
