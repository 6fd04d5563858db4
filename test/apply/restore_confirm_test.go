package apply

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
)

// unconfirmedBox is a box with a snapshot of a working host, to which much has happened since.
type unconfirmedBox struct {
	snapshotBox
	before string // a snapshot of what has become of the host
}

// networks are those of rules, by family.
var networks = map[int]string{4: "198.18.88.0/24", 6: "2001:db8:88::/48"}

func newUnconfirmedBox(t *testing.T, backend string) unconfirmedBox {
	t.Helper()
	s := unconfirmedBox{snapshotBox: newSnapshotBox(t, backend)}
	t.Cleanup(func() { awaitGuards(s.Box) })
	s.before = filepath.Join(s.Dir, "before")
	for _, family := range []int{4, 6} {
		ip, _ := s.commands(family)
		s.Shell(ip+"rule add priority 1501 lookup 78 protocol static", ip+"rule add priority 1502 lookup 78", ip+"rule add priority 1502 to "+networks[family]+" lookup 78")
	}
	s.Apply()
	s.Must(0, "snapshot", s.file)
	s.Must(0, "flush")
	for family, to := range map[int]string{4: "203.0.113.0/25 table 77 metric 5 via 192.0.2.1 dev eth1", 6: "2001:db8:78::/48 table 77 metric 5 via 2001:db8:b::1 dev eth1"} {
		ip, iptables := s.commands(family)
		s.removeForeign(family)
		s.Shell(ip+"route add "+to, ip+"rule del priority 1502 lookup 78", ip+"rule del priority 1501 lookup 78", ip+"rule del priority 1501 lookup 78", ip+"rule add priority 1501 from all ipproto udp lookup 78 protocol static")
		if family == 6 {
			s.Shell(iptables+"-F PREROUTING", iptables+"-X OTHERS")
		}
	}
	s.Must(0, "snapshot", s.before)
	return s
}

// changedSince returns what diff prints for a snapshot.
func (s unconfirmedBox) changedSince(file string) string { return s.Run("diff", file).Stdout }

// pendingFiles returns the files of restores that wait for their confirmation.
func (s unconfirmedBox) pendingFiles() []string {
	s.T.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "state", "restore*"))
	if err != nil {
		s.T.Fatal(err)
	}
	return files
}

// What a restore has done is undone unless it is confirmed; what other programs have done since stays.
func TestUnconfirmedRestoreIsRolledBack(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		s := newUnconfirmedBox(t, backend)
		if r := s.Must(0, "restore", "--all", s.file, "--confirm", "10m"); !strings.Contains(r.Stdout, "rolls back in 10m") {
			t.Errorf("restore: %s", r)
		}
		if r := s.Run("plan"); r.Status != 0 {
			t.Errorf("plan after restore: %s", r)
		}
		for _, file := range s.pendingFiles() {
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", file, info.Mode(), err)
			}
		}
		s.Shell("ip rule add priority 1777 to 198.18.66.0/24 unreachable", "ip -6 route add 2001:db8:99::/48 dev eth1 table 78", s.IptablesName(4)+" -w -t mangle -A OTHERS -i eth9 -j RETURN")
		s.Must(0, "restore", "--all", "--confirm", "1s", s.file) // goes back to before the first one
		want := []string{"+ rule ipv4 priority 1777 to 198.18.66.0/24 unreachable protocol 0", "+ route ipv6 unicast 2001:db8:99::/48", "-A OTHERS -i eth9 -j RETURN"}
		box.Eventually(t, box.EventualTimeout, "the restore is rolled back", func() bool { return len(s.pendingFiles()) == 0 })
		got := strings.Split(strings.TrimSpace(s.changedSince(s.before)), "\n")
		for i, line := range got {
			if len(got) != len(want) || !strings.Contains(line, want[i]) {
				t.Fatalf("after the rollback:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		if r := s.Must(1, "confirm"); !strings.Contains(r.Stderr, "no change waits") {
			t.Errorf("a confirmation that comes too late: %s", r)
		}
	})
}

func TestConfirmedRestoreStays(t *testing.T) {
	t.Parallel()
	s := newUnconfirmedBox(t, box.Backends[0])
	s.Must(0, "restore", "--all", "--confirm", "10m", s.file)
	restored := s.changedSince(s.file)
	s.Must(0, "confirm")
	s.Must(1, "confirm")
	if files := s.pendingFiles(); len(files) != 0 {
		t.Errorf("left in the state folder: %v", files)
	}
	if now := s.changedSince(s.file); now != restored {
		t.Errorf("after the confirmation:\n%s\nbefore:\n%s", now, restored)
	}
	if r := s.Must(0, "restore", "--all", "--confirm", "1s", s.file); r.Stdout != "in sync: nothing to do\n" || len(s.pendingFiles()) != 0 {
		t.Errorf("a restore that changes nothing: %s", r)
	}
	for _, args := range [][]string{{"--confirm", "10ms", s.file}, {s.file, "--confirm", "soon"}, {s.file, s.file}, {"--confirm=5s", "5s", s.file}} {
		s.Must(2, append([]string{"restore"}, args...)...)
	}
}

// Only what another command has not taken over since is rolled back.
func TestRollbackOfARestoreLeavesWhatIsAppliedSince(t *testing.T) {
	t.Parallel()
	s := newUnconfirmedBox(t, box.Backends[0])
	s.Must(0, "restore", "--all", "--confirm", "10m", s.file)
	s.Settings = s.Settings[:1]
	s.Configure(s.Uplinks[0])
	s.Apply()
	if r := s.Must(1, "restore", "--all", "--confirm", "1s", s.file); !strings.Contains(r.Stderr, "waits to be confirmed") {
		t.Errorf("restore over what was applied: %s", r)
	}
	s.Must(0, "snapshot", s.file+"2") // and with the service
	service := s.Start()
	s.AwaitInSync()
	if now := s.changedSince(s.file + "2"); now != "" {
		t.Errorf("the service changes:\n%s", now)
	}
	if files := s.pendingFiles(); len(files) != 3 {
		t.Errorf("waiting for a confirmation: %v", files)
	}
	s.Must(0, "confirm")
	if files := s.pendingFiles(); len(files) != 0 {
		t.Errorf("confirmed by the service, but left: %v", files)
	}
	service.Stop()
	s.Must(0, "apply", "--confirm", "10m")
	if r := s.Must(1, "restore", "--confirm", "1s", s.file); !strings.Contains(r.Stderr, "a change of apply waits") {
		t.Errorf("beside an unconfirmed apply: %s", r)
	}
	s.Must(0, "confirm")
}

// The service rolls back what a restore before its start has changed of other programs, and keeps what is its own.
func TestServiceRollsBackARestore(t *testing.T) {
	t.Parallel()
	s := newUnconfirmedBox(t, box.Backends[0])
	s.Must(0, "restore", "--all", "--confirm", "10m", s.file)
	s.Must(0, "restore", "--all", "--confirm", "3s", s.file)
	s.Start()
	box.Eventually(t, box.EventualTimeout, "the restore is rolled back", func() bool { return len(s.pendingFiles()) == 0 })
	s.AwaitInSync()
	if r := s.Must(3, "diff", s.before); slices.ContainsFunc(strings.Split(strings.TrimSpace(r.Stdout), "\n"), func(l string) bool {
		return !strings.Contains(l, "protocol 82") && !strings.Contains(l, "REPLYPATH") && !strings.Contains(l, "- group ") && !strings.Contains(l, "- sysctl ") && !strings.Contains(l, " was ")
	}) {
		t.Errorf("what is not the service's has changed:\n%s", r.Stdout)
	}
}

// A restore of an earlier boot is over: nothing of it is in the kernel.
func TestRestoreOfAnEarlierBootIsForgotten(t *testing.T) {
	t.Parallel()
	s := newUnconfirmedBox(t, box.Backends[0])
	s.Must(0, "restore", "--all", "--confirm", "10m", s.file)
	restored := s.changedSince(s.before)
	for _, file := range s.pendingFiles() {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			t.Fatal(err)
		}
		other := strings.ReplaceAll(string(text), strings.TrimSpace(string(boot)), "00000000-0000-4000-8000-000000000000")
		if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.Must(1, "confirm"); !strings.Contains(r.Stderr, "no change waits") {
		t.Errorf("confirm after a boot: %s", r)
	}
	awaitGuards(s.Box)
	if now := s.changedSince(s.before); now != restored {
		t.Errorf("after the end of the guard:\n%s\nwant\n%s", now, restored)
	}
}
