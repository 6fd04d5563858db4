package apply

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// snapshotBox is a box with outbound connections and an interception, so that all kinds of chains are there, and with rules, routes,
// sysctls and mangle rules of other programs.
type snapshotBox struct {
	*box.Box
	file string
}

func newSnapshotBox(t *testing.T, backend string) snapshotBox {
	t.Helper()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
	if backend != box.Nftables { // which leaves both out
		b.Settings = append(b.Settings, "[outbound]", `default = "all"`, `masquerade = "both"`, "[outbound.policies.all]", `tiers = [["isp0:3", "isp1"]]`, `sticky = "client"`,
			"[outbound.rules.mail]", `to = ["203.0.113.77/32", "2001:db8:77::/64"]`, `ipproto = "tcp"`, `dport = "25"`, `use = "isp1"`,
			"[intercept.web]", `from = ["lan0"]`, "ports = [80]", "proxy = 3129")
		b.Configure(b.Uplinks...)
	}
	s := snapshotBox{b, filepath.Join(b.Dir, "snapshot")}
	s.foreign(4)
	s.foreign(6)
	return s
}

// commands returns the beginnings of commands of ip(8) and iptables(8) for a family.
func (s snapshotBox) commands(family int) (ip, iptables string) {
	return fmt.Sprintf("ip -%d ", family), s.IptablesName(family) + " -w -t mangle "
}

// foreign adds what other programs have in a family.
func (s snapshotBox) foreign(family int) {
	s.T.Helper()
	a, b, from, to := "198.51.100.1", "192.0.2.1", "198.18.77.0/24", "203.0.113.0/25"
	if family == 6 {
		a, b, from, to = "2001:db8:a::1", "2001:db8:b::1", "2001:db8:77::/48", "2001:db8:78::/48"
	}
	ip, iptables := s.commands(family)
	s.Shell(
		ip+"route add "+to+" table 77 metric 5 mtu 1400 nexthop via "+a+" dev eth0 weight 3 nexthop via "+b+" dev eth1 weight 1",
		ip+"route add unreachable default table 77 metric 900",
		ip+"route add "+from+" dev eth1 table 78 protocol static",
		ip+"rule add priority 1500 not from "+from+" fwmark 0x10000/0xff0000 iif lo lookup 77",
		ip+"rule add priority 1501 to "+from+" ipproto tcp dport 80-90 uidrange 5-6 lookup 78 protocol static",
		ip+"rule add priority 1501 to "+from+" prohibit",
		iptables+"-N OTHERS",
		iptables+"-A OTHERS -m comment --comment \"it's a 'quote' and more\" -j MARK --set-xmark 0x10000/0xff0000",
		iptables+"-A FORWARD -i eth0 -j OTHERS",
		iptables+"-A PREROUTING -s "+from+" -j OTHERS",
		iptables+"-A PREROUTING -i eth1 -j OTHERS",
	)
}

// removeForeign removes a part of what foreign has added.
func (s snapshotBox) removeForeign(family int) {
	s.T.Helper()
	ip, iptables := s.commands(family)
	s.Shell(
		ip+"route flush table 77",
		ip+"route flush table 78",
		ip+"rule del priority 1500",
		ip+"rule del priority 1501 prohibit",
		iptables+"-F OTHERS",
		iptables+"-D PREROUTING -i eth1 -j OTHERS",
		iptables+"-D FORWARD -i eth0 -j OTHERS",
		iptables+"-A FORWARD -i eth7 -j ACCEPT",
		"ip link set dev lan0 group 55",
		"sysctl -qw net.ipv4.conf.lan0.rp_filter=2 net.ipv6.conf.lan0.accept_ra=2",
	)
}

// changes returns what diff prints, which is something.
func (s snapshotBox) changes() []string {
	s.T.Helper()
	return strings.Split(strings.TrimSpace(s.Must(3, "diff", s.file).Stdout), "\n")
}

// wantSame wants the host to be as in the snapshot.
func (s snapshotBox) wantSame() {
	s.T.Helper()
	if r := s.Run("diff", s.file); r.Status != 0 || r.Stdout != "" {
		s.T.Errorf("the host differs from the snapshot: %s", r)
	}
}

func TestRestorePutsBackWhatIsOurs(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		s := newSnapshotBox(t, backend)
		before := filepath.Join(s.Dir, "before")
		s.Must(0, "snapshot", before)
		s.Apply()
		s.Must(0, "snapshot", s.file)
		s.wantSame()
		s.Must(0, "flush")
		s.removeForeign(4)
		if gone := strings.Join(s.changes(), "\n"); !strings.Contains(gone, "- rule ipv4 priority 2003 fwmark 0x200") || !strings.Contains(gone, "- group eth0 8200 was 0") {
			t.Errorf("diff after flush:\n%s", gone)
		}
		plan := s.Must(3, "restore", "--dry-run", s.file)
		if !strings.Contains(plan.Stdout, "ip rule add priority 2002") || strings.Contains(plan.Stdout, "OTHERS") || plan.Stderr != "" {
			t.Errorf("the plan: %s", plan)
		}
		if r := s.Must(0, "restore", s.file); r.Stderr != "" {
			t.Errorf("restore: %s", r)
		}
		if r := s.Must(0, "restore", s.file); !strings.HasPrefix(r.Stdout, "in sync") {
			t.Errorf("a second restore: %s", r)
		}
		if r := s.Run("plan"); r.Status != 0 {
			t.Errorf("plan after restore: %s", r)
		}
		for _, c := range s.changes() {
			if strings.Contains(c, "protocol 82") || strings.Contains(c, "REPLYPATH") || strings.Contains(c, " was ") {
				t.Errorf("ours is not as before: %s", c)
			}
		}
		s.Must(0, "restore", before) // all of ours goes
		if r := s.Must(0, "flush"); !strings.HasPrefix(r.Stdout, "in sync") {
			t.Errorf("flush after restoring the state before apply: %s", r)
		}
	})
}

func TestRestoreAllPutsBackOthersToo(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		s := newSnapshotBox(t, backend)
		s.Apply()
		s.Must(0, "snapshot", s.file)
		s.removeForeign(4)
		s.removeForeign(6)
		s.Gateway.Run("ip", "rule", "del", "priority", "2002", "fwmark", "0x100/0x1f00")
		s.Must(0, "restore", "--all", s.file)
		want := []string{"+ mangle ipv4 NFT -A FORWARD -i eth7 -j ACCEPT", "+ mangle ipv6 NFT -A FORWARD -i eth7 -j ACCEPT"}
		for i := range want { // what others have added stays
			want[i] = strings.Replace(want[i], "NFT", map[bool]string{true: "legacy", false: "nft"}[strings.Contains(backend, "legacy")], 1)
		}
		if got := s.changes(); !slices.Equal(got, want) {
			t.Errorf("after restore --all:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := strings.Count(s.Gateway.Run("ip", "rule"), "1501:"); n != 2 {
			t.Errorf("%d rules of the priority 1501, want 2", n)
		}
		if r := s.Must(0, "restore", "--all", s.file); !strings.HasPrefix(r.Stdout, "in sync") {
			t.Errorf("a second restore: %s", r)
		}
		if r := s.Run("plan"); r.Status != 0 {
			t.Errorf("plan after restore: %s", r)
		}
	})
}

func TestRestoreReplacesAChangedRouteAndLeavesOutWhatCannotBe(t *testing.T) {
	t.Parallel()
	s := newSnapshotBox(t, box.Backends[0])
	s.Shell("ip link add gone0 type veth peer name gone1", "ip link set gone0 up", "ip route add 203.0.113.128/25 dev gone0 table 79")
	s.Must(0, "snapshot", s.file)
	s.Shell("ip route replace 203.0.113.0/25 table 77 metric 5 via 192.0.2.1 dev eth1", "ip link del gone0")
	r := s.Must(3, "restore", "--all", s.file)
	if !strings.Contains(r.Stderr, "left out: route ipv4 unicast 203.0.113.128/25") || !strings.Contains(r.Stdout, "restored: 1 step") {
		t.Errorf("restore: %s", r)
	}
	if text := s.Gateway.Run("ip", "route", "show", "table", "77"); strings.Count(text, "metric 5") != 1 || !strings.Contains(text, "weight 3") {
		t.Errorf("table 77:\n%s", text)
	}
	for _, c := range s.changes() {
		if !strings.Contains(c, "gone") && !strings.Contains(c, "198.51.100") {
			t.Errorf("left: %s", c)
		}
	}
}

func TestSnapshotIsForRootAlone(t *testing.T) {
	t.Parallel()
	s := newSnapshotBox(t, box.Backends[0])
	s.Must(0, "snapshot", s.file)
	if info, err := os.Stat(s.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if text := s.Must(0, "snapshot").Stdout; !strings.HasPrefix(text, "replypath snapshot 1\n# ") {
		t.Errorf("without a file:\n%.200s", text)
	}
	var report struct {
		Version int
		Same    bool
		Changes []struct{ What, Line string }
	}
	s.Shell("ip -6 rule add priority 1600 unreachable")
	out := s.Must(3, "diff", "--json", s.file).Stdout
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Version != 1 || report.Same || len(report.Changes) != 1 ||
		report.Changes[0].What != "added" || report.Changes[0].Line != "rule ipv6 priority 1600 unreachable protocol 0" {
		t.Errorf("diff --json: %v\n%s", err, out)
	}
	if err := os.Chown(s.file, box.NobodyUID, 0); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"diff", "restore"} {
		if r := s.Run(command, s.file); r.Status != 1 || !strings.Contains(r.Stderr, "can be modified by users other than root") {
			t.Errorf("%s of a file of another user: %s", command, r)
		}
	}
	if err := os.WriteFile(s.file+"2", []byte("*mangle\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.Run("restore", s.file+"2"); r.Status != 1 || !strings.Contains(r.Stderr, "not a snapshot") {
		t.Errorf("a file of iptables-save: %s", r)
	}
	if err := os.Symlink(s.file, s.file+"3"); err != nil {
		t.Fatal(err)
	}
	if r := s.Run("snapshot", s.file+"3"); r.Status != 1 || !strings.Contains(r.Stderr, s.file+"3: not a regular file: name another file") {
		t.Errorf("to a symbolic link: %s", r)
	}
	if err := os.Chown(s.file, 0, 0); err != nil {
		t.Fatal(err)
	}
	s.Start()
	s.AwaitInSync()
	if r := s.Run("restore", s.file); r.Status != 1 || !strings.Contains(r.Stderr, "the service is running") {
		t.Errorf("beside the service: %s", r)
	}
}
