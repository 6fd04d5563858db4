package hook

import (
	"bytes"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"replypath/health"
)

// pad is a log that can be read while it is written.
type pad struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pad) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *pad) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// script makes a program that works in the folder in which it lies.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd '"+filepath.Dir(path)+"' || exit 9\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// runner runs until the test ends.
func runner(t *testing.T, limit time.Duration, programs ...string) (*Runner, *pad) {
	t.Helper()
	log := &pad{}
	r := New(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r.limit = limit
	r.Set(programs)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	return r, log
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// logged waits for words in the log.
func logged(t *testing.T, log *pad, words string) {
	t.Helper()
	until(t, fmt.Sprintf("%q in the log", words), func() bool { return strings.Contains(log.String(), words) })
}

func beside(t *testing.T, program, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProgramIsToldTheEvent(t *testing.T) {
	t.Setenv("SECRET", "of the service")
	program := script(t, "cat >event; cat /proc/$$/environ >environment; echo $OLDPWD >folder; mv event told")
	r, log := runner(t, Limit, program)
	e := health.Event{Version: 1, ID: 7, At: time.Unix(1700000000, 0).UTC(), Kind: "state", Uplink: "fibre", Family: "ipv4", From: "up", To: "down", Text: "a \"b\" $(c)\nd"}
	r.Tell(e)
	logged(t, log, "has ended")
	var got health.Event
	if err := json.Unmarshal([]byte(beside(t, program, "told")), &got); err != nil || got != e {
		t.Errorf("it was told %+v, %v", got, err)
	}
	if folder := beside(t, program, "folder"); folder != "/\n" {
		t.Errorf("it began in %q", folder)
	}
	env := strings.Split(strings.TrimRight(beside(t, program, "environment"), "\x00"), "\x00")
	slices.Sort(env)
	want := []string{"LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"REPLYPATH_EVENT=state", "REPLYPATH_FAMILY=ipv4", "REPLYPATH_FROM=up", "REPLYPATH_ID=7", "REPLYPATH_TO=down", "REPLYPATH_UPLINK=fibre"}
	if !slices.Equal(env, want) {
		t.Errorf("its environment is %q", env)
	}
}

func TestOneProgramAtATimeInOrder(t *testing.T) {
	one := script(t, `echo "begin $REPLYPATH_ID"; sleep 0.02; echo "end $REPLYPATH_ID"`)
	two := filepath.Join(filepath.Dir(one), "two")
	for path, line := range map[string]string{one: "one", two: "two"} {
		text := fmt.Sprintf("#!/bin/sh\ncd '%s'\necho %s begins $REPLYPATH_ID >>list\nsleep 0.02\necho %[2]s ends $REPLYPATH_ID >>list\n", filepath.Dir(one), line)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r, log := runner(t, Limit, one, two)
	want := ""
	for i := range 10 {
		r.Tell(health.Event{ID: uint64(i)})
		for _, name := range []string{"one", "two"} {
			want += fmt.Sprintf("%s begins %d\n%[1]s ends %d\n", name, i, i)
		}
	}
	until(t, "all have run", func() bool { return strings.Count(log.String(), "has ended") == 20 })
	if got := beside(t, one, "list"); got != want {
		t.Errorf("they ran so:\n%s", got)
	}
}

// gone waits until the processes whose numbers stand in the file have ended.
func gone(t *testing.T, program, file string) {
	t.Helper()
	pids := strings.Fields(beside(t, program, file))
	if len(pids) == 0 {
		t.Fatal("no process was noted")
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "process "+text+" has ended", func() bool {
			state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(state), ") Z ")
		})
	}
}

func TestProgramThatTakesTooLongIsKilledWithItsChildren(t *testing.T) {
	program := script(t, "trap '' TERM; sleep 1000 & echo $! $$ >pids; wait; sleep 1000")
	r, log := runner(t, 300*time.Millisecond, program)
	r.Tell(health.Event{})
	logged(t, log, "it took too long and was killed after 300ms")
	gone(t, program, "pids")
}

func TestWhatAProgramLeavesBehindIsEnded(t *testing.T) {
	program := script(t, "sleep 1000 & echo $! >pids")
	r, log := runner(t, Limit, program)
	r.Tell(health.Event{})
	logged(t, log, "has ended")
	gone(t, program, "pids")
}

func TestOutputThatIsHeldOpenHoldsUpNobody(t *testing.T) {
	program := script(t, "setsid sleep 1000 & echo $! >pids; while [ \"$(cut -d' ' -f5 /proc/$!/stat)\" != $! ]; do :; done; echo done")
	r, log := runner(t, Limit, program)
	r.Tell(health.Event{})
	logged(t, log, "output=done")
	pid, err := strconv.Atoi(strings.TrimSpace(beside(t, program, "pids")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("what has a group of its own is left alone: %v", err)
	}
}

func TestProgramEndsWithTheService(t *testing.T) {
	program := script(t, "echo $$ >pids; mv pids noted; sleep 1000")
	r := New(slog.New(slog.DiscardHandler))
	r.Set([]string{program})
	r.Tell(health.Event{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	until(t, "it runs", func() bool {
		_, err := os.Stat(filepath.Join(filepath.Dir(program), "noted"))
		return err == nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	gone(t, program, "noted")
}

func TestOutputGoesToTheLogAndIsBounded(t *testing.T) {
	talker := script(t, "echo to the log; echo and this >&2; exit 3")
	flood := script(t, "head -c 3000000 /dev/zero | tr '\\0' x")
	r, log := runner(t, Limit, talker, flood)
	// More than a pipe holds, which nobody reads.
	r.Tell(health.Event{Text: strings.Repeat("y", 1<<20)})
	logged(t, log, "bytes more")
	for _, want := range []string{"has failed", `output="to the log\nand this"`, "exit status 3", fmt.Sprintf("and %d bytes more", 3000000-said)} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if n := len(log.String()); n > 3*said {
		t.Errorf("the log has %d bytes", n)
	}
}

func TestTooManyEventsLoseTheOldest(t *testing.T) {
	program := script(t, "echo $REPLYPATH_ID >>list")
	log := &pad{}
	r := New(slog.New(slog.NewTextHandler(log, nil)))
	r.Tell(health.Event{}) // is for nobody
	r.Set([]string{program})
	for i := range waiting + 7 {
		r.Tell(health.Event{ID: uint64(i)})
	}
	if r.Lost() != 7 {
		t.Errorf("%d are lost", r.Lost())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	until(t, "all have run", func() bool {
		list, _ := os.ReadFile(filepath.Join(filepath.Dir(program), "list"))
		return strings.HasSuffix(string(list), fmt.Sprintf("\n%d\n", waiting+6))
	})
	cancel()
	<-ended
	if list := strings.Fields(beside(t, program, "list")); len(list) != waiting || list[0] != "7" {
		t.Errorf("it ran for %v", list)
	}
	if !strings.Contains(log.String(), "events=7") {
		t.Errorf("the log does not tell of them: %s", log)
	}
}
