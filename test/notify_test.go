package test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/world"
)

// notifiedUntil collects what the service tells its manager until it has said this.
func (s *service) notifiedUntil(until string) (all []string) {
	s.b.t.Helper()
	for late := time.After(20 * time.Second); ; {
		select {
		case state := <-s.notifications:
			all = append(all, state)
			if strings.Contains(state, until) {
				return all
			}
		case <-late:
			s.b.t.Fatalf("the service never said %s, but %q", until, all)
		}
	}
}

func TestServiceNotifiesSystemd(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.env = []string{"WATCHDOG_USEC=600000"}
	s := b.launch()
	begun := s.notifiedUntil("READY=1")
	if last := begun[len(begun)-1]; !strings.Contains(last, "STATUS=2 uplinks, in sync") {
		t.Errorf("ready with %q", last)
	}
	for range 4 {
		s.awaitNotify("WATCHDOG=1")
	}
	for what, file := range map[string]func(){
		"is refused": func() { b.write("nonsense = 1\n") },
		"is taken":   func() { b.configure(b.Uplinks[0]) },
	} {
		file()
		for len(s.notifications) > 0 {
			<-s.notifications
		}
		b.run("reload") // refuses a bad file by itself
		if what == "is refused" {
			s.signal(syscall.SIGHUP)
		}
		if output := s.notifiedUntil("RELOADING=1"); strings.Contains(output[len(output)-1], "READY=1") {
			t.Errorf("a reload that %s ends as it begins: %q", what, output)
		}
		s.notifiedUntil("READY=1")
	}
	s.signal(syscall.SIGTERM)
	s.notifiedUntil("STOPPING=1")
	if err := <-s.ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// A rival at the time of the start must not keep the manager waiting until it gives up.
func TestServiceGetsReadyDespiteAConflictingOwner(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	r := b.startConflictingOwner(t)
	s := b.start()
	eventually(t, 20*time.Second, "the rival has deleted", func() bool { return r.deleted.Load() > maxHarmsPerObject })
	s.awaitNotify("repairs wait")
	b.configure(b.Uplinks...)
	b.run("reload")
	s.notifiedUntil("RELOADING=1")
	s.notifiedUntil("READY=1")
}

func TestJSONLogHoldsOnlyChanges(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.serviceFlags = []string{"--log-format", "json"}
	b.env = []string{"WATCHDOG_USEC=150000"}
	s := b.start()
	s.awaitNotify("in sync")
	b.awaitUp()
	begun := len(s.log.String())
	for range 10 {
		s.awaitNotify("WATCHDOG=1") // a round each
	}
	if output := s.log.String()[begun:]; output != "" {
		t.Errorf("rounds in which all is right say %q", output)
	}
	b.shell("ip rule del priority 2003 lookup 8202")
	b.awaitRule(t, promptTimeout)
	eventually(t, promptTimeout, "it is told", func() bool { return strings.Contains(s.log.String()[begun:], "lookup 8202") })
	for line := range strings.Lines(s.log.String()) {
		var record struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Msg == "" {
			t.Errorf("%q: %v", line, err)
		}
		if record.Level != "INFO" {
			t.Errorf("not a change: %q", line)
		}
	}
}

func TestServiceSurvivesAClosedLogPipe(t *testing.T) {
	b := newBox(t, world.TwoISPs(t))
	log, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := b.command(t.Context(), "run")
	cmd.Stderr = end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.awaitInSync()
	if err := errors.Join(end.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Gateway.Run("ip", "rule", "del", "priority", "2003")
		b.awaitInSync()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
