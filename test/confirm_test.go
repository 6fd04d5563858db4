package test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// awaitNoTable waits until the kernel has no rule for the table any more.
func (b *box) awaitNoTable(table string) {
	b.t.Helper()
	late := time.After(20 * time.Second)
	for strings.Contains(b.Gateway.Run("ip", "rule"), "lookup "+table) {
		select {
		case <-late:
			b.t.Fatalf("table %s is still looked up:\n%s", table, b.Gateway.Run("ip", "rule"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *box) wantTableLookedUp(table string) {
	b.t.Helper()
	if rules := b.Gateway.Run("ip", "rule"); !strings.Contains(rules, "lookup "+table) {
		b.t.Errorf("table %s is not looked up:\n%s", table, rules)
	}
}

// withAndWithoutService runs a test once where nothing but the program itself sees to a deadline, and once where the
// service does. Uplinks 0 and 1 are in force; what lies between the deadlines and the checks before them is patience.
func withAndWithoutService(t *testing.T, test func(t *testing.T, b *box)) {
	for name, begin := range map[string]func(b *box){
		"by the program": (*box).apply,
		"by the service": func(b *box) { b.start() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, world.ISPs(t, 3))
			t.Cleanup(b.awaitGuards)
			b.configure(b.Uplinks[0], b.Uplinks[1])
			begin(b)
			test(t, b)
		})
	}
}

// awaitGuards waits until nobody sees to a deadline of the box's any more: the last to do so still writes to its folder.
func (b *box) awaitGuards() {
	eventually(b.t, time.Minute, "the guards have ended", func() bool {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		return !slices.ContainsFunc(files, func(file string) bool {
			line, _ := os.ReadFile(file)
			return bytes.Contains(line, []byte("\x00guard\x00")) && bytes.Contains(line, []byte(b.dir))
		})
	})
}

func TestUnconfirmedApplyIsRolledBack(t *testing.T) {
	withAndWithoutService(t, func(t *testing.T, b *box) {
		b.configure(b.Uplinks[0], b.Uplinks[2])
		b.must(0, "apply", "--confirm", "8s")
		b.wantTableLookedUp("8203")
		b.awaitNoTable("8203")
		b.configure(b.Uplinks[0], b.Uplinks[1])
		b.awaitInSync()
		if r := b.must(1, "confirm"); !strings.Contains(r.stderr, "no change waits") {
			t.Errorf("a confirmation that comes too late: %s", r)
		}
	})
}

func TestConfirmedApplyStays(t *testing.T) {
	withAndWithoutService(t, func(t *testing.T, b *box) {
		b.configure(b.Uplinks[0], b.Uplinks[2])
		b.must(0, "apply", "--confirm", "30s")
		b.must(0, "confirm")
		b.must(1, "confirm")
		// What a later change goes back to is what was confirmed.
		b.configure(b.Uplinks...)
		b.must(0, "apply", "--confirm", "4s")
		b.awaitNoTable("8202")
		b.wantTableLookedUp("8203")
	})
}

func TestConfirmDeadlineSurvivesServiceRestart(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.ISPs(t, 3))
	b.configure(b.Uplinks[0], b.Uplinks[1])
	s := b.start()
	b.configure(b.Uplinks[0], b.Uplinks[2])
	b.must(0, "apply", "--confirm", "12s")
	s.kill()
	s = b.start()
	b.wantTableLookedUp("8203")
	b.awaitNoTable("8203")
	b.wantTableLookedUp("8202")
	s.kill()
	s = b.start()
	b.wantTableLookedUp("8202")
	b.must(0, "reload") // somebody asks for it all the same
	b.wantTableLookedUp("8203")
	s.stop()
}

func TestFirstUnconfirmedApplyIsRolledBackToNothing(t *testing.T) {
	b := newBox(t, world.TwoISPs(t))
	b.must(0, "apply", "--confirm", "1s")
	b.awaitNoTable("8201")
	b.must(3, "plan")
	b.must(2, "apply", "--confirm", "10ms")
	b.must(2, "apply", "--confirm", "0s")
}

func TestRollbackFindsARelativeStateDirectory(t *testing.T) {
	b := newBox(t, world.TwoISPs(t))
	cmd := b.Gateway.Command(t.Context(), b.program, "apply", "--confirm", "1s", "--config", b.config, "--state", "state")
	cmd.Dir = b.dir
	if r := b.runCommand(cmd); r.status != 0 {
		t.Fatal(r)
	}
	b.awaitNoTable("8201")
}

// TestRollbackRetriesUntilItSucceeds lets it fail to lock the host until it has tried in vain.
func TestRollbackRetriesUntilItSucceeds(t *testing.T) {
	b := newBox(t, world.TwoISPs(t))
	b.must(0, "apply", "--confirm", "1s")
	locks, err := filepath.Glob(filepath.Join(b.dir, "state", "*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks: %v, %v", locks, err)
	}
	if err := errors.Join(os.Remove(locks[0]), os.Mkdir(locks[0], 0o700)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	b.wantTableLookedUp("8201")
	if err := os.Remove(locks[0]); err != nil {
		t.Fatal(err)
	}
	b.awaitNoTable("8201")
}
