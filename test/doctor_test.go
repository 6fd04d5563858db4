package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/test/world"
)

// doctorReport is what doctor --json prints.
type doctorReport struct {
	Version  int
	Findings []doctorFinding
	Unseen   []struct{ What, Why string }
}

type doctorFinding struct {
	ID, Severity, What, Remedy string
	Evidence                   []string
	Fixable                    bool
}

const (
	isError   = "error"
	isWarning = "warning"
	isNote    = "note"
)

// healthy reports whether nothing is above a note.
func (d doctorReport) healthy() bool {
	return !slices.ContainsFunc(d.Findings, func(f doctorFinding) bool { return f.Severity != isNote })
}

func (d doctorReport) String() string {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// of are the findings of that kind.
func (d doctorReport) of(id string) (some []doctorFinding) {
	for _, f := range d.Findings {
		if f.ID == id {
			some = append(some, f)
		}
	}
	return some
}

// root is a folder for files that the doctor looks at in place of the machine's.
func (b *box) root() string { return filepath.Join(b.dir, "root") }

// writeRootFile writes a file below the root.
func (b *box) writeRootFile(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.root(), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// runDoctor asks the doctor, and wants an exit status that agrees with what it says.
func (b *box) runDoctor(run ...func(args ...string) result) (d doctorReport) {
	b.t.Helper()
	doctor := b.run
	if len(run) > 0 {
		doctor = run[0]
	}
	r := doctor("doctor", "--json", "--root", b.root())
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || d.Version != 1 {
		b.t.Fatalf("doctor --json: %v: %s", err, r)
	}
	want := 0
	if !d.healthy() {
		want = 3
	}
	if r.status != want {
		b.t.Errorf("exit %d, want %d: %s", r.status, want, d)
	}
	return d
}

// wantFinding wants a finding of that kind and gravity, with all of the words in what it says.
func (b *box) wantFinding(d doctorReport, severity string, id string, words ...string) {
	b.t.Helper()
	for _, f := range d.of(id) {
		text := strings.Join(append([]string{f.What, f.Remedy}, f.Evidence...), "\n")
		if f.Severity == severity && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return
		}
	}
	b.t.Errorf("no %s %q with %q:\n%s", severity, id, words, d)
}

func TestDoctorReportsNothingOnAHealthyHost(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backend)
		legacyTable(b.Gateway)
		b.apply()
		before := takeSnapshot(b.Gateway)
		d := b.runDoctor()
		for _, f := range d.Findings {
			if f.ID != "probes" {
				t.Errorf("a healthy host has the finding %+v", f)
			}
		}
		if len(d.Unseen) > 0 {
			t.Errorf("not looked at: %v", d.Unseen)
		}
		before.wantSame(t, "doctor", b.Gateway)
	})
}

func TestDoctorReportsAndChangesNothingOnAnUntouchedHost(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	if err := os.Remove(b.config); err != nil {
		t.Fatal(err)
	}
	before := takeSnapshot(b.Gateway)
	if d := b.runDoctor(); len(d.Findings)+len(d.Unseen) > 0 {
		t.Errorf("an untouched host: %s", d)
	}
	before.wantSame(t, "doctor", b.Gateway)
}

// harmlessSetup is what others often have, and what looks like trouble and is none.
const harmlessSetup = `
for f in -4 -6; do
	ip $f rule add priority 5210 fwmark 0x80000/0xff0000 lookup main
	ip $f rule add priority 5270 lookup 52
	ip $f rule add priority 9000 not fwmark 0x51820000/0xffff0000 lookup 51820
	ip $f rule add priority 1500 lookup main suppress_prefixlength 0
	ip $f rule add priority 1501 uidrange 1000-1000 lookup 77
	ip $f rule add priority 1502 fwmark 0x4000/0x4000 lookup 77
	ip $f rule add priority 1503 lookup 77 suppress_prefixlength 0
	ip $f rule add priority 1504 goto 1600
	ip $f rule add priority 1600 nop
done
ip route add 203.0.113.64/26 dev eth0 table 8300
for t in iptables ip6tables; do
	$t -t nat -N KUBE-MARK-MASQ
	$t -t nat -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
	$t -t mangle -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000
	$t -t mangle -A PREROUTING -m rpfilter --validmark --invert -j DROP
	$t -t raw -A PREROUTING -m rpfilter --loose --invert -j DROP
	$t -t raw -A PREROUTING -m comment --comment "--notrack" -j CT --helper ftp 2>/dev/null || :
done
nft add table inet firewalld
nft 'add chain inet firewalld mangle_PREROUTING { type filter hook prerouting priority -140; }'
nft add rule inet firewalld mangle_PREROUTING meta nfproto ipv6 fib saddr . mark . iif oif missing drop
nft add rule inet firewalld mangle_PREROUTING fib daddr . iif type local accept
nft add rule inet firewalld mangle_PREROUTING fib saddr oif missing drop
nft add rule inet firewalld mangle_PREROUTING 'meta mark set meta mark | 0x20000'
sysctl -qw net.ipv4.conf.eth1.arp_ignore=1 net.ipv4.conf.lan0.arp_ignore=1
ip addr add 192.0.2.99/24 dev lan0
`

func TestDoctorIgnoresHarmlessRules(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	b.Gateway.Run("sh", "-ec", harmlessSetup)
	for _, f := range b.runDoctor().Findings {
		if f.ID != "probes" {
			t.Errorf("that is harmless: %+v", f)
		}
	}
}

// What iptables cannot list is listed as nftables has it, and what is ours in there is ours all the same.
func TestDoctorRecognizesOwnRulesThatIptablesCannotList(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backends[0])
	b.apply()
	b.Gateway.Run("nft", "add rule ip mangle PREROUTING ct state established counter; add rule ip6 mangle OUTPUT ct state established counter")
	for _, f := range b.runDoctor().Findings {
		if f.ID != "probes" {
			t.Errorf("that is ours: %+v", f)
		}
	}
}
