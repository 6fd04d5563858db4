package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"replypath/cmd/terminal"
	"replypath/health"

	"golang.org/x/sys/unix"
)

// scriptedFetch returns the given statuses and errors one by one, and cancels the watch at the last.
func scriptedFetch(cancel context.CancelFunc, all ...any) func(context.Context) (health.Status, error) {
	return func(context.Context) (health.Status, error) {
		next := all[0]
		if all = all[1:]; len(all) == 0 {
			defer cancel()
		}
		if err, bad := next.(error); bad {
			return health.Status{}, err
		}
		return next.(health.Status), nil
	}
}

// withMeasurements returns a status that differs in measurements only.
func withMeasurements(rounds int, mean float64) health.Status {
	s := troubledStatus()
	s.Rounds, s.Uplinks[0].Families[0].Probes[0].MeanRTTSeconds = rounds, mean
	return s
}

func TestWatchPrintsOnlyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		p := &program{stdout: &out, stderr: &errs}
		ctx, cancel := context.WithCancel(t.Context())
		better := withMeasurements(4, .1)
		better.Uplinks[1].Families[1].State = health.Up
		gone := errors.New("the service does not run")
		begun := time.Now()
		if err := p.watch(ctx, scriptedFetch(cancel, withMeasurements(1, .1), withMeasurements(2, .2), withMeasurements(3, .3), better, gone, gone, better, better, better)); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "UPLINK"); n != 3 {
			t.Errorf("%d blocks:\n%s", n, &out)
		}
		if errs.String() != "replypath: the service does not run\n" {
			t.Errorf("complaints: %q", &errs)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Error("escape sequences without a terminal")
		}
		if took := time.Since(begun); took != 8*pollInterval {
			t.Errorf("nine requests took %s", took)
		}
	})
}

func TestWatchFailsWithoutService(t *testing.T) {
	p := &program{stdout: &bytes.Buffer{}}
	if err := p.watch(t.Context(), scriptedFetch(func() {}, errors.New("none"))); err == nil {
		t.Error("watch waits although the service has never run")
	}
}

func TestWatchJSONPrintsOneLinePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &program{stdout: &out, json: true}
		ctx, cancel := context.WithCancel(t.Context())
		better := withMeasurements(3, .1)
		better.Events = append(better.Events, health.Event{ID: 7})
		if err := p.watch(ctx, scriptedFetch(cancel, withMeasurements(1, .1), withMeasurements(2, .2), better, better)); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, want := range []int{1, 3} {
			var s health.Status
			if err := json.Unmarshal([]byte(lines[i]), &s); err != nil || s.Rounds != want {
				t.Errorf("line %d: %v, round %d", i, err, s.Rounds)
			}
		}
	})
}

// openTerminal opens a pseudo terminal: data written to tty is read from primary.
func openTerminal(t *testing.T) (primary, tty *os.File) {
	t.Helper()
	primary, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { primary.Close() })
	if err := unix.IoctlSetPointerInt(int(primary.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(primary.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return primary, tty
}

func TestWatchRedrawsOnATerminal(t *testing.T) {
	for name, value := range map[string]string{"TERM": "xterm", "NO_COLOR": ""} {
		t.Setenv(name, value)
	}
	first, second := openTerminal(t)
	if !terminal.NewPalette(second).Enabled {
		t.Error("no colour on a terminal")
	}
	t.Setenv("NO_COLOR", "1")
	if terminal.NewPalette(second).Enabled {
		t.Error("NO_COLOR is not respected")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if terminal.NewPalette(second).Enabled {
		t.Error("a dumb terminal gets colour")
	}
	// The terminal's buffer is smaller than the output.
	read := make(chan string)
	go func() {
		var all []byte
		for b := make([]byte, 4096); ; {
			n, err := first.Read(b)
			all = append(all, b[:n]...)
			if err != nil || bytes.Contains(all, []byte("END")) {
				read <- string(all)
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{stdout: second}
	last := health.Status{Problems: []string{"END"}}
	if err := p.watch(ctx, scriptedFetch(cancel, troubledStatus(), last, last)); err != nil {
		t.Fatal(err)
	}
	got := <-read
	if !strings.HasPrefix(got, clearAll+"kernel") || strings.Count(got, cursorHome) != 2 || !strings.Contains(got, clearRest+cursorHome+"kernel") || !strings.Contains(got, clearLine+"\r\n") {
		t.Errorf("output %q", got)
	}
}
