package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/health"
	"replypath/health/healthtest"
)

// writeScript writes a shell script that runs in its own directory.
func writeScript(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd '"+filepath.Dir(path)+"' || exit 9\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// startRunner runs a Runner until the test ends.
func startRunner(t *testing.T, timeout time.Duration, programs ...string) (*Runner, *healthtest.LogBuffer) {
	t.Helper()
	log := &healthtest.LogBuffer{}
	r := New(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r.timeout = timeout
	r.SetPrograms(programs)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	return r, log
}

// waitForLog waits until the log has the text.
func waitForLog(t *testing.T, log *healthtest.LogBuffer, text string) {
	t.Helper()
	healthtest.WaitFor(t, fmt.Sprintf("%q in the log", text), func() bool { return strings.Contains(log.String(), text) })
}

func readBeside(t *testing.T, program, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProgramReadsTheEvent(t *testing.T) {
	t.Setenv("SECRET", "of the service")
	program := writeScript(t, "cat >event; cat /proc/$$/environ >environment; echo $OLDPWD >folder; mv event received")
	r, log := startRunner(t, Timeout, program)
	e := health.Event{Version: 1, ID: 7, At: time.Unix(1700000000, 0).UTC(), Kind: "state", Uplink: "fibre", Interface: "ppp0", Family: "ipv4", From: "up", To: "down", Text: "a \"b\" $(c)\nd"}
	r.Enqueue(e)
	waitForLog(t, log, "program finished")
	var got health.Event
	if err := json.Unmarshal([]byte(readBeside(t, program, "received")), &got); err != nil || got != e {
		t.Errorf("the program read %+v, %v", got, err)
	}
	if dir := readBeside(t, program, "folder"); dir != "/\n" {
		t.Errorf("the program started in %q", dir)
	}
	env := strings.Split(strings.TrimRight(readBeside(t, program, "environment"), "\x00"), "\x00")
	slices.Sort(env)
	want := []string{"LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"REPLYPATH_EVENT=state", "REPLYPATH_FAMILY=ipv4", "REPLYPATH_FROM=up", "REPLYPATH_ID=7", "REPLYPATH_INTERFACE=ppp0", "REPLYPATH_POLICY=", "REPLYPATH_PROGRAM=" + program, "REPLYPATH_TO=down", "REPLYPATH_UPLINK=fibre"}
	if !slices.Equal(env, want) {
		t.Errorf("the environment is %q", env)
	}
}

func TestProgramsRunOneAtATimeInOrder(t *testing.T) {
	one := writeScript(t, `echo "begin $REPLYPATH_ID"; sleep 0.02; echo "end $REPLYPATH_ID"`)
	two := filepath.Join(filepath.Dir(one), "two")
	for path, line := range map[string]string{one: "one", two: "two"} {
		text := fmt.Sprintf("#!/bin/sh\ncd '%s'\necho %s begins $REPLYPATH_ID >>list\nsleep 0.02\necho %[2]s ends $REPLYPATH_ID >>list\n", filepath.Dir(one), line)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r, log := startRunner(t, Timeout, one, two)
	want := ""
	for i := range 10 {
		r.Enqueue(health.Event{ID: uint64(i)})
		for _, name := range []string{"one", "two"} {
			want += fmt.Sprintf("%s begins %d\n%[1]s ends %d\n", name, i, i)
		}
	}
	healthtest.WaitFor(t, "all have run", func() bool { return strings.Count(log.String(), "program finished") == 20 })
	if got := readBeside(t, one, "list"); got != want {
		t.Errorf("the programs ran:\n%s", got)
	}
}

// waitForExit waits until the processes whose IDs are in the file have exited.
func waitForExit(t *testing.T, program, file string) {
	t.Helper()
	pids := strings.Fields(readBeside(t, program, file))
	if len(pids) == 0 {
		t.Fatal("the file names no process")
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		healthtest.WaitFor(t, "process "+text+" has exited", func() bool {
			state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(state), ") Z ")
		})
	}
}

func TestTimeoutKillsTheProcessGroup(t *testing.T) {
	program := writeScript(t, "trap '' TERM; sleep 1000 & echo $! $$ >pids; wait; sleep 1000")
	r, log := startRunner(t, 300*time.Millisecond, program)
	r.Enqueue(health.Event{})
	waitForLog(t, log, "killed: it ran for more than 300ms")
	waitForExit(t, program, "pids")
}

func TestBackgroundChildrenAreKilled(t *testing.T) {
	program := writeScript(t, "sleep 1000 & echo $! >pids")
	r, log := startRunner(t, Timeout, program)
	r.Enqueue(health.Event{})
	waitForLog(t, log, "program finished")
	waitForExit(t, program, "pids")
}

func TestHeldOpenOutputDoesNotBlock(t *testing.T) {
	program := writeScript(t, "setsid sleep 1000 & echo $! >pids; while [ \"$(cut -d' ' -f5 /proc/$!/stat)\" != $! ]; do :; done; echo done")
	r, log := startRunner(t, Timeout, program)
	r.Enqueue(health.Event{})
	waitForLog(t, log, "output=done")
	pid, err := strconv.Atoi(strings.TrimSpace(readBeside(t, program, "pids")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the process in another group was killed: %v", err)
	}
}

func TestProgramIsKilledWhenTheContextEnds(t *testing.T) {
	program := writeScript(t, "echo $$ >pids; mv pids started; sleep 1000")
	r := New(slog.New(slog.DiscardHandler))
	r.SetPrograms([]string{program})
	r.Enqueue(health.Event{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	healthtest.WaitFor(t, "the program runs", func() bool {
		_, err := os.Stat(filepath.Join(filepath.Dir(program), "started"))
		return err == nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	waitForExit(t, program, "started")
}

func TestOutputIsLoggedAndLimited(t *testing.T) {
	chatty := writeScript(t, "echo to the log; echo and this >&2; exit 3")
	verbose := writeScript(t, "head -c 3000000 /dev/zero | tr '\\0' x")
	r, log := startRunner(t, Timeout, chatty, verbose)
	// The programs do not read this event, which is larger than a pipe buffer.
	r.Enqueue(health.Event{Text: strings.Repeat("y", 1<<20)})
	waitForLog(t, log, "bytes more")
	for _, want := range []string{"program failed", `output="to the log\nand this"`, "exit status 3", fmt.Sprintf("and %d bytes more", 3000000-maxOutput)} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if n := len(log.String()); n > 3*maxOutput {
		t.Errorf("the log has %d bytes", n)
	}
}

func TestFullQueueDropsTheOldestEvents(t *testing.T) {
	program := writeScript(t, "echo $REPLYPATH_ID >>list")
	log := &healthtest.LogBuffer{}
	r := New(slog.New(slog.NewTextHandler(log, nil)))
	r.Enqueue(health.Event{}) // without programs
	r.SetPrograms([]string{program})
	for i := range queueSize + 7 {
		r.Enqueue(health.Event{ID: uint64(i)})
	}
	if r.Dropped() != 7 {
		t.Errorf("%d events are dropped", r.Dropped())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	healthtest.WaitFor(t, "all have run", func() bool {
		list, _ := os.ReadFile(filepath.Join(filepath.Dir(program), "list"))
		return strings.HasSuffix(string(list), fmt.Sprintf("\n%d\n", queueSize+6))
	})
	cancel()
	<-ended
	if list := strings.Fields(readBeside(t, program, "list")); len(list) != queueSize || list[0] != "7" {
		t.Errorf("the program ran for %v", list)
	}
	if !strings.Contains(log.String(), "events=7") {
		t.Errorf("the dropped events are not in the log: %s", log)
	}
}
