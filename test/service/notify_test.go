package service

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// notifiedUntil collects the notifications to the service manager up to one that contains the text.
func notifiedUntil(s *box.Service, until string) (all []string) {
	s.B.T.Helper()
	for late := time.After(box.EventualTimeout); ; {
		select {
		case state := <-s.Notifications:
			all = append(all, state)
			if strings.Contains(state, until) {
				return all
			}
		case <-late:
			s.B.T.Fatalf("the service never said %s, but %q", until, all)
		}
	}
}

func TestServiceNotifiesSystemd(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Env = []string{"WATCHDOG_USEC=600000"}
	s := b.Launch()
	begun := notifiedUntil(s, "READY=1")
	if last := begun[len(begun)-1]; !strings.Contains(last, "STATUS=2 uplinks, in sync") {
		t.Errorf("ready with %q", last)
	}
	for range 4 {
		s.AwaitNotify("WATCHDOG=1")
	}
	for what, file := range map[string]func(){
		"is refused": func() { b.Write("nonsense = 1\n") },
		"is taken":   func() { b.Configure(b.Uplinks[0]) },
	} {
		file()
		for len(s.Notifications) > 0 {
			<-s.Notifications
		}
		b.Run("reload")
		if output := notifiedUntil(s, "RELOADING=1"); strings.Contains(output[len(output)-1], "READY=1") {
			t.Errorf("a reload that %s ends as it begins: %q", what, output)
		}
		notifiedUntil(s, "READY=1")
	}
	s.Signal(syscall.SIGTERM)
	notifiedUntil(s, "STOPPING=1")
	if err := <-s.Ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// A conflicting owner at the start must not delay READY=1 until the manager gives up.
func TestServiceGetsReadyDespiteAConflictingOwner(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	r := startConflictingOwner(t, b)
	s := b.Start()
	box.Eventually(t, box.EventualTimeout, "the conflicting owner has deleted the rule", func() bool { return r.deleted.Load() > maxHarmsPerObject })
	s.AwaitNotify("1 repair waits")
	b.Configure(b.Uplinks...)
	b.Run("reload")
	notifiedUntil(s, "RELOADING=1")
	notifiedUntil(s, "READY=1")
}

func TestJSONLogHoldsOnlyChanges(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.ServiceFlags = []string{"--log-format", "json"}
	b.Env = []string{"WATCHDOG_USEC=150000"}
	s := b.Start()
	s.AwaitNotify("in sync")
	b.AwaitUp()
	begun := len(s.Log.String())
	for range 10 {
		s.AwaitNotify("WATCHDOG=1") // a round each
	}
	if output := s.Log.String()[begun:]; output != "" {
		t.Errorf("rounds in which all is right say %q", output)
	}
	b.Shell("ip rule del priority 2003 lookup 8202")
	b.AwaitRule(t, box.EventualTimeout)
	box.Eventually(t, box.EventualTimeout, "the repair is logged", func() bool { return strings.Contains(s.Log.String()[begun:], "lookup 8202") })
	for line := range strings.Lines(s.Log.String()) {
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
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	log, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := b.Command(t.Context(), "run")
	cmd.Stderr = end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.AwaitInSync()
	if err := errors.Join(end.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Gateway.Run("ip", "rule", "del", "priority", "2003")
		b.AwaitInSync()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
