package apply

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// awaitNoTable waits until the kernel has no rule for the table any more.
func awaitNoTable(b *box.Box, table string) {
	b.T.Helper()
	box.Eventually(b.T, box.EventualTimeout, "no rule looks up table "+table, func() bool { return !looksUp(b, table) })
}

func looksUp(b *box.Box, table string) bool {
	return strings.Contains(b.Gateway.Run("ip", "rule"), "lookup "+table)
}

func wantTableLookedUp(b *box.Box, table string) {
	b.T.Helper()
	if !looksUp(b, table) {
		b.T.Errorf("table %s is not looked up:\n%s", table, b.Gateway.Run("ip", "rule"))
	}
}

// applyUnconfirmed applies with a deadline, and wants the check to hold before it. Where the machine is too slow for the
// check to end in time, it waits for the roll-back of the table's rules and begins again, with twice the time.
func applyUnconfirmed(b *box.Box, table string, check func() bool) {
	b.T.Helper()
	for deadline := 2 * time.Second; ; deadline *= 2 {
		began := time.Now()
		b.Must(0, "apply", "--confirm", deadline.String())
		held := check()
		if time.Since(began) < deadline {
			if !held {
				b.T.Errorf("before the deadline of %s:\n%s", deadline, b.Gateway.Run("ip", "rule"))
			}
			return
		}
		awaitNoTable(b, table)
	}
}

// withAndWithoutService runs a test once where nothing but the program itself sees to a deadline, and once where the
// service does. Uplinks 0 and 1 are in force.
func withAndWithoutService(t *testing.T, test func(t *testing.T, b *box.Box)) {
	for name, begin := range map[string]func(b *box.Box){
		"by the program": (*box.Box).Apply,
		"by the service": func(b *box.Box) { b.Start() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, world.ISPs(t, 3))
			t.Cleanup(func() { awaitGuards(b) })
			b.Configure(b.Uplinks[0], b.Uplinks[1])
			begin(b)
			test(t, b)
		})
	}
}

// awaitGuards waits until the guard processes of the box have ended: the last one still writes to its folder.
func awaitGuards(b *box.Box) {
	box.Eventually(b.T, box.EventualTimeout, "the guards have ended", func() bool {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		return !slices.ContainsFunc(files, func(file string) bool {
			line, _ := os.ReadFile(file)
			return bytes.Contains(line, []byte("\x00guard\x00")) && bytes.Contains(line, []byte(b.Dir))
		})
	})
}

func TestUnconfirmedApplyIsRolledBack(t *testing.T) {
	t.Parallel()
	withAndWithoutService(t, func(t *testing.T, b *box.Box) {
		b.Configure(b.Uplinks[0], b.Uplinks[2])
		applyUnconfirmed(b, "8203", func() bool { return looksUp(b, "8203") })
		awaitNoTable(b, "8203")
		b.Configure(b.Uplinks[0], b.Uplinks[1])
		b.AwaitInSync()
		if r := b.Must(1, "confirm"); !strings.Contains(r.Stderr, "no change waits") {
			t.Errorf("a confirmation that comes too late: %s", r)
		}
	})
}

func TestConfirmedApplyStays(t *testing.T) {
	t.Parallel()
	withAndWithoutService(t, func(t *testing.T, b *box.Box) {
		b.Configure(b.Uplinks[0], b.Uplinks[2])
		b.Must(0, "apply", "--confirm", "10m")
		b.Must(0, "confirm")
		b.Must(1, "confirm")
		// What a later change goes back to is what was confirmed.
		b.Configure(b.Uplinks...)
		b.Must(0, "apply", "--confirm", "1s")
		awaitNoTable(b, "8202")
		wantTableLookedUp(b, "8203")
	})
}

func TestConfirmDeadlineSurvivesServiceRestart(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.ISPs(t, 3))
	b.Configure(b.Uplinks[0], b.Uplinks[1])
	s := b.Start()
	b.Configure(b.Uplinks[0], b.Uplinks[2])
	applyUnconfirmed(b, "8203", func() bool {
		s.Kill()
		s = b.Start()
		return looksUp(b, "8203")
	})
	awaitNoTable(b, "8203")
	wantTableLookedUp(b, "8202")
	s.Kill()
	s = b.Start()
	wantTableLookedUp(b, "8202")
	b.Must(0, "reload") // an explicit reload applies it all the same
	wantTableLookedUp(b, "8203")
	s.Stop()
}

func TestFirstUnconfirmedApplyIsRolledBackToNothing(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	t.Cleanup(func() { awaitGuards(b) })
	b.Must(0, "apply", "--confirm", "1s")
	awaitNoTable(b, "8201")
	b.Must(3, "plan")
	b.Must(2, "apply", "--confirm", "10ms")
	b.Must(2, "apply", "--confirm", "0s")
}

func TestRollbackFindsARelativeStateDirectory(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	t.Cleanup(func() { awaitGuards(b) })
	cmd := b.Gateway.Command(t.Context(), b.Program, "apply", "--confirm", "1s", "--config", b.Config, "--state", "state")
	cmd.Dir = b.Dir
	if r := b.RunCommand(cmd); r.Status != 0 {
		t.Fatal(r)
	}
	awaitNoTable(b, "8201")
}

// TestRollbackRetriesUntilItSucceeds lets it fail to lock the host until it has tried in vain.
func TestRollbackRetriesUntilItSucceeds(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	t.Cleanup(func() { awaitGuards(b) })
	began := time.Now()
	const deadline = 2 * time.Second
	b.Must(0, "apply", "--confirm", deadline.String())
	locks, err := filepath.Glob(filepath.Join(b.Dir, "state", "*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks: %v, %v", locks, err)
	}
	if err := errors.Join(os.Remove(locks[0]), os.Mkdir(locks[0], 0o700)); err != nil {
		t.Fatal(err)
	}
	blocked := looksUp(b, "8201") // before the deadline, unless the machine is too slow
	time.Sleep(time.Until(began.Add(deadline + 500*time.Millisecond)))
	if blocked && !looksUp(b, "8201") {
		t.Error("it was rolled back although the host could not be locked")
	}
	if err := os.Remove(locks[0]); err != nil {
		t.Fatal(err)
	}
	awaitNoTable(b, "8201")
}
