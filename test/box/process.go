package box

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// CPUTicks returns the CPU time of a process and its children in clock ticks (proc_pid_stat(5)).
func CPUTicks(tb testing.TB, pid int) (total int) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	for _, field := range strings.Fields(rest)[11:15] { // utime, stime, cutime, cstime
		var n int
		if _, err := fmt.Sscan(field, &n); err != nil {
			tb.Fatal(err)
		}
		total += n
	}
	return total
}

// WakeUps returns how often the threads of a process have waited for something (voluntary_ctxt_switches, proc_pid_status(5)). It depends
// little on what else the machine does, unlike the CPU time of a wake-up.
func WakeUps(tb testing.TB, pid int) (total int) {
	tb.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(threads) == 0 {
		tb.Fatalf("the process %d has no threads: %v", pid, err)
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(filepath.Base(thread))
		total += statusField(tb, tid, "voluntary_ctxt_switches:")
	}
	return total
}

// Resident returns the memory of a process, in KiB.
func Resident(tb testing.TB, pid int) int { tb.Helper(); return Memory(tb, pid, "VmRSS:") }

// Memory returns one of the figures of a process's, in KiB (proc_pid_status(5)).
func Memory(tb testing.TB, pid int, which string) int {
	tb.Helper()
	return statusField(tb, pid, which)
}

// statusField returns the number behind a name in the status of a process or thread.
func statusField(tb testing.TB, pid int, which string) int {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, which); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	tb.Fatal("no " + which)
	return 0
}
