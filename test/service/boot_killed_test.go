package service

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
)

// killAfter runs the program, and kills it after a time unless it has ended. It reports whether the program succeeded.
func killAfter(b *box.Box, after time.Duration, args ...string) (done bool) {
	b.T.Helper()
	cmd := b.Command(b.T.Context(), args...)
	if err := cmd.Start(); err != nil {
		b.T.Fatal(err)
	}
	killer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	defer killer.Stop()
	return cmd.Wait() == nil
}

// wantConsistentBoot boots, and wants the old uplinks in force with a status that says so, or the new ones.
func wantConsistentBoot(b *box.Box, after time.Duration) (isNew bool) {
	b.T.Helper()
	reboot(b)
	s := b.Start()
	defer s.Stop() // a socket of a killed process may stay for a moment
	rules, status := b.Gateway.Run("ip", "rule"), b.ServiceStatus()
	old, isNew := strings.Contains(rules, "lookup 8202"), strings.Contains(rules, "lookup 8203")
	c := status.Configuration
	switch {
	case old == isNew:
		b.T.Errorf("killed after %s: neither the old nor the new uplinks alone are in force:\n%s", after, rules)
	case isNew && (c.State != health.FileInForce || status.Reload != nil):
		b.T.Errorf("killed after %s: the file is in force, but %+v, %+v", after, c, status.Reload)
	case old && (c.State != health.FileUnconfirmed || status.Reload == nil || status.Reload.Error == ""):
		b.T.Errorf("killed after %s: the file is not in force, but %+v, %+v", after, c, status.Reload)
	}
	return isNew
}

// The program is killed at any time of an apply --confirm, or of a confirm. A change that has reached the kernel and was not
// confirmed is never in force after a boot, and one that was confirmed is.
func TestBootAfterAKilledCommand(t *testing.T) {
	t.Parallel()
	const longest, step = 120 * time.Millisecond, 8 * time.Millisecond
	each := func(t *testing.T, test func(b *box.Box, after time.Duration)) {
		t.Parallel()
		b := newBootTest(t)
		for after := time.Duration(0); after <= longest; after += step {
			b.Configure(b.Uplinks[0], b.Uplinks[1])
			b.Must(0, "apply")
			b.Configure(b.Uplinks[0], b.Uplinks[2])
			test(b, after)
		}
	}
	t.Run("apply", func(t *testing.T) {
		each(t, func(b *box.Box, after time.Duration) {
			killAfter(b, after, "apply", "--confirm", "1h")
			reached := strings.Contains(b.Gateway.Run("ip", "rule"), "lookup 8203")
			if isNew := wantConsistentBoot(b, after); isNew && reached {
				t.Errorf("killed after %s: an unconfirmed change that had reached the kernel is in force after a boot", after)
			}
		})
	})
	t.Run("confirm", func(t *testing.T) {
		each(t, func(b *box.Box, after time.Duration) {
			b.Must(0, "apply", "--confirm", "1h")
			done := killAfter(b, after, "confirm")
			if isNew := wantConsistentBoot(b, after); done && !isNew {
				t.Errorf("killed after %s: a confirmed change is not in force after a boot", after)
			}
		})
	})
}
