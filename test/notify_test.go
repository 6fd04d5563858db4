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

// heard collects what the service tells its manager until it has said this.
func (s *service) heard(until string) (all []string) {
	s.b.t.Helper()
	for late := time.After(20 * time.Second); ; {
		select {
		case state := <-s.states:
			all = append(all, state)
			if strings.Contains(state, until) {
				return all
			}
		case <-late:
			s.b.t.Fatalf("the service never said %s, but %q", until, all)
		}
	}
}

func TestTheManagerIsToldHowThingsStand(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.environment = []string{"WATCHDOG_USEC=600000"}
	s := b.launch()
	begun := s.heard("READY=1")
	if last := begun[len(begun)-1]; !strings.Contains(last, "STATUS=2 uplinks, in sync") {
		t.Errorf("ready with %q", last)
	}
	for range 4 {
		s.await("WATCHDOG=1")
	}
	for what, file := range map[string]func(){
		"is refused": func() { b.write("nonsense = 1\n") },
		"is taken":   func() { b.configure(b.Uplinks[0]) },
	} {
		file()
		for len(s.states) > 0 {
			<-s.states
		}
		b.run("reload") // refuses a bad file by itself
		if what == "is refused" {
			s.signal(syscall.SIGHUP)
		}
		if said := s.heard("RELOADING=1"); strings.Contains(said[len(said)-1], "READY=1") {
			t.Errorf("a reload that %s ends as it begins: %q", what, said)
		}
		s.heard("READY=1")
	}
	s.signal(syscall.SIGTERM)
	s.heard("STOPPING=1")
	if err := <-s.ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// A rival at the time of the start must not keep the manager waiting until it gives up.
func TestARivalDoesNotKeepTheServiceFromBeingReady(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	r := b.rival(t)
	s := b.start()
	until(t, 20*time.Second, "the rival has deleted", func() bool { return r.deleted.Load() > patience })
	s.await("repairs wait")
	b.configure(b.Uplinks...)
	b.run("reload")
	s.heard("RELOADING=1")
	s.heard("READY=1")
}

func TestTheLogTellsChangesOnlyAndInJSON(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.flags = []string{"--log-format", "json"}
	b.environment = []string{"WATCHDOG_USEC=150000"}
	s := b.start()
	s.await("in sync")
	b.awaitUp()
	begun := len(s.log.String())
	for range 10 {
		s.await("WATCHDOG=1") // a round each
	}
	if said := s.log.String()[begun:]; said != "" {
		t.Errorf("rounds in which all is right say %q", said)
	}
	b.do("ip rule del priority 2003 lookup 8202")
	b.awaitRule(t, promptly)
	until(t, promptly, "it is told", func() bool { return strings.Contains(s.log.String()[begun:], "lookup 8202") })
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

func TestAServiceOutlivesWhoReadsItsLog(t *testing.T) {
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
	b.repaired()
	if err := errors.Join(end.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Gateway.Run("ip", "rule", "del", "priority", "2003")
		b.repaired()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
