package service

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// reboot removes what a boot removes: the state folder but for its persistent part, and what is in the kernel.
func reboot(b *box.Box) {
	b.T.Helper()
	saved, kept := filepath.Join(b.Dir, "state", "persistent"), filepath.Join(b.Dir, "kept")
	moved := os.Rename(saved, kept) == nil
	b.Must(0, "flush")
	if err := os.RemoveAll(filepath.Join(b.Dir, "state")); err != nil {
		b.T.Fatal(err)
	}
	if !moved {
		return
	}
	if err := os.MkdirAll(filepath.Dir(saved), 0o700); err != nil {
		b.T.Fatal(err)
	}
	if err := os.Rename(kept, saved); err != nil {
		b.T.Fatal(err)
	}
}

// wantTables wants rules for these tables and for no other.
func wantTables(b *box.Box, when string, tables ...string) {
	b.T.Helper()
	rules := b.Gateway.Run("ip", "rule")
	for _, table := range []string{"8201", "8202", "8203"} {
		wanted := false
		for _, t := range tables {
			wanted = wanted || t == table
		}
		if strings.Contains(rules, "lookup "+table) != wanted {
			b.T.Errorf("%s: wanted the tables %v only:\n%s", when, tables, rules)
		}
	}
}

// newBootTest returns a box with uplinks 0 and 1 configured of three.
func newBootTest(t *testing.T) *box.Box {
	t.Helper()
	b := box.New(t, world.ISPs(t, 3))
	b.Configure(b.Uplinks[0], b.Uplinks[1])
	return b
}

// applyUnconfirmed applies another configuration with --confirm, by the service, or by the program after the service has ended.
func applyUnconfirmed(t *testing.T, withService bool) (*box.Box, *Service) {
	t.Helper()
	b := newBootTest(t)
	s := b.Start()
	if !withService {
		s.Stop()
	}
	b.Configure(b.Uplinks[0], b.Uplinks[2])
	b.Must(0, "apply", "--confirm", "1h")
	return b, s
}

// wantRefused wants every output to say that the file is not in force, and why.
func wantRefused(b *box.Box, s *Service, state health.FileState, why string) {
	b.T.Helper()
	r := b.Must(3, "status")
	for _, want := range []string{why, "replypath reload"} {
		if !strings.Contains(strings.Join(strings.Fields(r.Stdout), " "), want) {
			b.T.Errorf("status does not say %q: %s", want, r)
		}
	}
	status := b.ServiceStatus()
	if c := status.Configuration; c == nil || c.State != state || c.Why == "" || c.Remedy == "" || c.File != b.Config {
		b.T.Errorf("status --json: %+v, want the state %s", c, state)
	}
	if status.Reload == nil || status.Reload.Error == "" {
		b.T.Errorf("status --json has no refused reload: %+v", status.Reload)
	}
	if !strings.Contains(s.Log.String(), "level=ERROR") || !strings.Contains(s.Log.String(), why) {
		b.T.Errorf("the log does not say %q:\n%s", why, s.Log.String())
	}
	for _, e := range status.Events {
		if e.Kind == "reload" && e.To == "refused" && strings.Contains(e.Text, why) {
			return
		}
	}
	b.T.Errorf("no event says %q: %+v", why, status.Events)
}

// Service is a service of the box.
type Service = box.Service

func TestBootDoesNotUseAnUnconfirmedChange(t *testing.T) {
	t.Parallel()
	for name, withService := range map[string]bool{"applied by the service": true, "applied by the program": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := applyUnconfirmed(t, withService)
			wantTables(b, "before the boot", "8201", "8203")
			if withService {
				if c := b.ServiceStatus().Configuration; c.InForce != health.Unconfirmed || c.ConfirmBy == nil || c.State != health.FileInForce {
					t.Errorf("before the confirmation: %+v", c)
				}
				s.Kill()
			}
			reboot(b)
			s = b.Start()
			wantTables(b, "after the boot", "8201", "8202")
			wantRefused(b, s, health.FileUnconfirmed, "was applied and never confirmed, so that the last confirmed configuration is in force")
			s.Kill()
			s = b.Start()
			wantTables(b, "after a restart", "8201", "8202")
			wantRefused(b, s, health.FileUnconfirmed, "was applied and never confirmed")

			b.Must(0, "reload")
			wantTables(b, "after a reload", "8201", "8203")
			if c := b.ServiceStatus().Configuration; c.InForce != health.Confirmed || c.State != health.FileInForce || c.Why != "" {
				t.Errorf("after a reload: %+v", c)
			}
			s.Kill()
			reboot(b)
			s = b.Start()
			wantTables(b, "after a boot with what is confirmed", "8201", "8203")
			s.Stop()
		})
	}
}

func TestBootUsesAConfirmedChange(t *testing.T) {
	t.Parallel()
	for name, withService := range map[string]bool{"confirmed by the service": true, "confirmed by the program": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := applyUnconfirmed(t, withService)
			if r := b.Must(0, "confirm"); r.Stderr != "" {
				t.Errorf("confirm: %s", r)
			}
			if withService {
				s.Kill()
			}
			reboot(b)
			b.Write("nonsense = 1\n")
			s = b.Start()
			wantTables(b, "after a boot with a broken file", "8201", "8203")
			wantRefused(b, s, health.FileInvalid, "cannot be used, so that the last confirmed configuration is in force")
			s.Stop()
		})
	}
}

func TestBootWithABrokenFile(t *testing.T) {
	t.Parallel()
	b := newBootTest(t)
	fragments := filepath.Join(filepath.Dir(b.Config), "uplinks.d")
	if err := os.Mkdir(fragments, 0o700); err != nil {
		t.Fatal(err)
	}
	fragment := filepath.Join(fragments, "third.toml")
	if err := os.WriteFile(fragment, []byte("id = 3\ninterface = \"eth2\"\ngateway = \"198.19.2.1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := b.Start()
	wantTables(b, "at first", "8201", "8202", "8203")
	s.Kill()
	reboot(b)
	for _, broken := range []string{"", "id = \n", "id = 3\ngateway = 7\n", "\xff\xfe"} {
		if err := os.WriteFile(fragment, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		b.Must(2, "check")
		if r := b.Must(0, "check", "--start"); !strings.Contains(r.Stderr, "the service starts with the last confirmed configuration") {
			t.Errorf("check --start: %s", r)
		}
		s = b.Start()
		wantTables(b, "with a broken file in uplinks.d", "8201", "8202", "8203")
		wantRefused(b, s, health.FileInvalid, "cannot be used")
		s.Kill()
		reboot(b)
	}
	// Every file of the saved configuration must be root's.
	b.Shell("chmod o+w " + filepath.Join(b.Dir, "state", "persistent", "*", "confirmed", "replypath.toml"))
	if err := <-b.Launch().Ended; err == nil {
		t.Error("a saved configuration that every user can change is used")
	}
	if err := os.RemoveAll(filepath.Join(b.Dir, "state", "persistent")); err != nil {
		t.Fatal(err)
	}
	b.Must(2, "check", "--start")
	if r := b.Must(2, "run"); !strings.Contains(r.Stderr, "UTF-16") {
		t.Errorf("a start without a saved configuration: %s", r)
	}
}

func TestBootAfterAFirstChangeThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	b := newBootTest(t)
	b.Must(0, "apply", "--confirm", "1h")
	reboot(b)
	s := b.Start()
	wantTables(b, "after the boot")
	wantRefused(b, s, health.FileUnconfirmed, "was applied and never confirmed, and no other configuration was")
	if c := b.ServiceStatus().Configuration; c.InForce != health.NoneInForce {
		t.Errorf("%+v", c)
	}
	b.Must(0, "reload")
	wantTables(b, "after a reload", "8201", "8202")
	s.Stop()
}

func TestStatusComparesTheFile(t *testing.T) {
	t.Parallel()
	b := newBootTest(t)
	s := b.Start()
	is := func(want health.FileState) {
		t.Helper()
		if c := b.ServiceStatus().Configuration; c.State != want || (c.Why == "") != (want == health.FileInForce) {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	is(health.FileInForce)
	b.Configure(b.Uplinks[0], b.Uplinks[2])
	is(health.FileChanged)
	if r := b.Run("status"); !strings.Contains(strings.Join(strings.Fields(r.Stdout), " "), "says something else, which is not in force: use it: replypath reload") {
		t.Errorf("%s", r)
	}
	b.Write("nonsense = 1\n")
	is(health.FileInvalid)
	b.Configure(b.Uplinks[0], b.Uplinks[1])
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	b.Write("# in other words\n" + string(text))
	is(health.FileInForce)
	if err := os.Remove(b.Config); err != nil {
		t.Fatal(err)
	}
	is(health.FileMissing)
	s.Stop()
}

// The service works while its configuration cannot be saved, says so, and saves it later.
func TestServiceWorksWhileTheConfigurationCannotBeSaved(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]struct{ broken, mended string }{
		"a read-only file system": {"mode=700,ro", "rw"},
		"a full file system":      {"mode=700,nr_inodes=1", "nr_inodes=100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, world.TwoISPs(t))
			saved := filepath.Join(b.Dir, "state", "persistent")
			b.ServiceProgram = filepath.Join(b.Dir, "run")
			script := fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -ec 'mkdir -p %[1]s; mount -t tmpfs -o %[2]s none %[1]s; exec \"$@\"' sh %[3]s \"$@\"\n", saved, mount.broken, b.Program)
			world.WriteProgram(t, b.ServiceProgram, []byte(script), 0o700)
			s := b.Start()
			wantTables(b, "at first", "8201", "8202")
			b.AwaitUp()
			if r := b.Must(0, "status"); !strings.Contains(strings.Join(strings.Fields(r.Stdout), " "), "is not saved for the next start") {
				t.Errorf("%s", r)
			}
			if !strings.Contains(s.Log.String(), "cannot save the configuration: the service works on") {
				t.Errorf("the log:\n%s", s.Log.String())
			}
			b.Gateway.Run("nsenter", "--mount", "--target", fmt.Sprint(s.Cmd.Process.Pid), "mount", "-o", "remount,"+mount.mended, saved)
			b.Must(0, "reload")
			if c := b.ServiceStatus().Configuration; c.Unsaved != "" {
				t.Errorf("%+v", c)
			}
			s.Stop()
		})
	}
}
