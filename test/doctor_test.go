package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/world"
)

// diagnosis is what doctor --json prints.
type diagnosis struct {
	Version  int
	Findings []ailment
	Unseen   []struct{ What, Why string }
}

type ailment struct {
	ID, Severity, What, Remedy string
	Evidence                   []string
	Fixable                    bool
}

const (
	isError   = "error"
	isWarning = "warning"
	isNote    = "note"
)

// well reports whether nothing is above a note.
func (d diagnosis) well() bool {
	return !slices.ContainsFunc(d.Findings, func(f ailment) bool { return f.Severity != isNote })
}

func (d diagnosis) String() string {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// of are the findings of that kind.
func (d diagnosis) of(id string) (some []ailment) {
	for _, f := range d.Findings {
		if f.ID == id {
			some = append(some, f)
		}
	}
	return some
}

// root is a folder for files that the doctor looks at in place of the machine's.
func (b *box) root() string { return filepath.Join(b.dir, "root") }

// put writes a file below the root.
func (b *box) put(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.root(), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// diagnose asks the doctor, and wants an exit status that agrees with what it says.
func (b *box) diagnose(run ...func(args ...string) result) (d diagnosis) {
	b.t.Helper()
	ask := b.run
	if len(run) > 0 {
		ask = run[0]
	}
	r := ask("doctor", "--json", "--root", b.root())
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || d.Version != 1 {
		b.t.Fatalf("doctor --json: %v: %s", err, r)
	}
	want := 0
	if !d.well() {
		want = 3
	}
	if r.status != want {
		b.t.Errorf("exit %d, want %d: %s", r.status, want, d)
	}
	return d
}

// finds wants a finding of that kind and gravity, with all of the words in what it says.
func (b *box) finds(d diagnosis, severity string, id string, words ...string) {
	b.t.Helper()
	for _, f := range d.of(id) {
		text := strings.Join(append([]string{f.What, f.Remedy}, f.Evidence...), "\n")
		if f.Severity == severity && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return
		}
	}
	b.t.Errorf("no %s %q with %q:\n%s", severity, id, words, d)
}

func TestDoctorFindsAHealthyHostWell(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backend)
		legacyTable(b.Gateway)
		b.apply()
		before := snap(b.Gateway)
		d := b.diagnose()
		for _, f := range d.Findings {
			if f.ID != "probes" {
				t.Errorf("a healthy host has the finding %+v", f)
			}
		}
		if len(d.Unseen) > 0 {
			t.Errorf("not looked at: %v", d.Unseen)
		}
		before.same(t, "doctor", b.Gateway)
	})
}

func TestDoctorFindsAnUntouchedHostWellAndLeavesItSo(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	if err := os.Remove(b.config); err != nil {
		t.Fatal(err)
	}
	before := snap(b.Gateway)
	if d := b.diagnose(); len(d.Findings)+len(d.Unseen) > 0 {
		t.Errorf("an untouched host: %s", d)
	}
	before.same(t, "doctor", b.Gateway)
}

func TestREADMENamesEveryFinding(t *testing.T) {
	files, err := filepath.Glob("../cmd/internal/doctor/*.go")
	if err != nil {
		t.Fatal(err)
	}
	_, told, _ := strings.Cut(readReadme(t), "## What would break it")
	told, _, _ = strings.Cut(told, "\n## ")
	names := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:ID:|ID, f.What =|conflicts\()\s*"([a-z0-9-]+)"`).FindAllStringSubmatch(string(text), -1) {
			if names++; !strings.Contains(told, "`"+m[1]+"`") {
				t.Errorf("the README does not tell of %s", m[1])
			}
		}
	}
	if names < 25 {
		t.Errorf("only %d findings", names)
	}
}

// symptom is a condition that is made on the gateway, and how the doctor calls it.
type symptom struct {
	id       string
	severity string
	make     string // for sh
	words    []string
}

var symptoms = map[string]symptom{
	"a rule of Tailscale's kind by our bits": {"mark-bits-rule", isWarning,
		"for f in -4 -6; do ip $f rule add priority 5210 fwmark 0x1800/0x1fff00 lookup 52; done",
		[]string{"Tailscale", "ip rule 5210: from all fwmark 0x1800/0x1fff00 lookup ", "ip -6 rule 5210", "mask = 0x"}},
	"a rule that an uplink's packets meet": {"mark-bits-rule", isError,
		"ip -6 rule add priority 7000 fwmark 0x200/0x300 lookup 99", []string{"taken for an uplink's mark", "ip -6 rule 7000"}},
	"a MARK of kube-proxy's kind":       {"mark-bits-firewall", isWarning, "iptables -t nat -N KUBE-MARK-MASQ; iptables -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x1000", []string{"kube-proxy", "0x1000/0x1000"}},
	"a MARK in the other backend":       {"mark-bits-firewall", isWarning, "ip6tables-legacy -t mangle -A OUTPUT -j MARK --set-xmark 0x1000/0x1000", []string{"ip6tables-legacy-save", "0x1000/0x1000"}},
	"an unmasked restore of wg-quick's": {"mark-bits-firewall", isError, `iptables -t mangle -A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --restore-mark`, []string{"wg-quick", "wipe"}},
	"an unmasked mark of nft's":         {"mark-bits-firewall", isError, "nft add table inet t; nft 'add chain inet t c { type filter hook output priority 0; }'; nft add rule inet t c udp dport 53 meta mark set 0x5", []string{"inet t c", "meta mark set 0x5"}},
	"a masked mark of nft's":            {"mark-bits-firewall", isWarning, "nft add table inet t; nft add chain inet t c; nft add rule inet t c 'meta mark set meta mark & 0xffffefff | 0x1000'", []string{"meta mark set meta mark", "0x1000"}},
	"a compared mark of nft's":          {"mark-bits-firewall", isError, "nft add table ip t; nft add chain ip t c; nft add rule ip t c 'ct mark & 0x300 == 0x200 accept'", []string{"ip t c: ct mark & 0x300 0x200", "taken for an uplink's mark"}},
	"bits of others in nft's":           {"notrack", isWarning, "nft add table ip t; nft add chain ip t c; nft add rule ip t c 'ct mark & 0x4000 == 0x4000 notrack'", []string{"notrack"}},
	"a mark compared whole":             {"mark-bits-firewall", isNote, "ip6tables -A FORWARD -m mark --mark 0x40000 -j ACCEPT", []string{"filter FORWARD", "bits of its own"}},
	"a rule among ours":                 {"rule-among-ours", isWarning, "for f in -4 -6; do ip $f rule add priority 2500 from all lookup 77; done", []string{"2000 to 3999", "ip rule 2500: from all lookup ", "ip -6 rule 2500"}},
	"a rule before ours": {"rule-before-ours", isError, "for f in -4 -6; do ip $f rule add priority 1500 not fwmark 0xca6c lookup 51820; done",
		[]string{"wg-quick", "ip -6 rule 1500", "above 3999"}},
	"a route in our tables":                 {"table-in-use", isWarning, "ip route add 203.0.113.64/26 dev eth0 table 8205; ip -6 route add 2001:db8:99::/64 dev eth0 table 8206", []string{"IPv4 table 8205", "IPv6 table 8206"}},
	"src_valid_mark on all":                 {"src-valid-mark-all", isWarning, "sysctl -qw net.ipv4.conf.all.src_valid_mark=1", []string{"net.ipv4.conf.all.src_valid_mark = 1"}},
	"a source check of IPv4":                {"firewall-source-check", isError, "iptables -t raw -A PREROUTING -m rpfilter --invert -j DROP", []string{"raw PREROUTING"}},
	"a source check of IPv6":                {"firewall-source-check", isError, "ip6tables-legacy -t raw -A PREROUTING -m rpfilter --validmark --invert -j DROP", []string{"ip6tables-legacy-save"}},
	"a source check of nft's":               {"firewall-source-check", isError, "nft add table inet t; nft 'add chain inet t c { type filter hook prerouting priority -300; }'; nft add rule inet t c fib saddr . mark . iif oif missing drop", []string{"fib saddr . mark . iif"}},
	"both backends":                         {"iptables-both", isWarning, "iptables-nft -A INPUT -j ACCEPT; ip6tables-legacy -A INPUT -j ACCEPT", []string{"iptables-save", "ip6tables-legacy-save"}},
	"untracked in IPv4":                     {"notrack", isWarning, "iptables -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack", []string{"--notrack"}},
	"untracked in IPv6":                     {"notrack", isWarning, "ip6tables -t raw -A OUTPUT -p udp --sport 53 -j NOTRACK", []string{"raw OUTPUT"}},
	"untracked by nft":                      {"notrack", isWarning, "nft add table ip6 t; nft 'add chain ip6 t c { type filter hook prerouting priority -300; }'; nft add rule ip6 t c udp dport 53 notrack", []string{"ip6 t c: notrack"}},
	"different MTUs":                        {"mtu-differs", isNote, "ip link set eth1 mtu 1400", []string{"eth0: mtu 1500", "eth1: mtu 1400"}},
	"two links in one network":              {"arp-flux", isWarning, "ip addr add 192.0.2.99/24 dev lan0", []string{"eth1", "lan0", "arp_ignore=1"}},
	"an address twice":                      {"same-address", isError, "ip addr add 192.0.2.2/32 dev lo; ip addr add 2001:db8:b::2/128 dev lo", []string{"192.0.2.2 on eth1, lo"}},
	"an address twice, IPv6":                {"same-address", isError, "ip addr add 2001:db8:b::2/128 dev lo", []string{"2001:db8:b::2 on eth1, lo"}},
	"a tunnel of the kernel's":              {"kernel-listener", isNote, "ip link add vx0 type vxlan id 5 dstport 4789; ip link set vx0 up", []string{"port 4789"}},
	"a source check that is not strict":     {"rp-filter", isNote, "sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.eth1.rp_filter=1", []string{"eth1: net.ipv4.conf.all.rp_filter = 2"}},
	"main refuses what it has no route for": {"uplinks", isWarning, "ip -6 route add unreachable default metric 4096", []string{"main has an unreachable"}},
}

func TestDoctorNamesEachSymptom(t *testing.T) {
	t.Parallel()
	for name, s := range symptoms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
			b.apply()
			if d := b.diagnose(); !d.well() || len(d.of(s.id)) > 0 {
				t.Fatalf("before: %s", d)
			}
			b.Gateway.Run("sh", "-ec", s.make)
			b.finds(b.diagnose(), s.severity, s.id, s.words...)
		})
	}
}

// harmless is what others often have, and what looks like trouble and is none.
const harmless = `
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

func TestDoctorLeavesTheHarmlessAlone(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	b.Gateway.Run("sh", "-ec", harmless)
	for _, f := range b.diagnose().Findings {
		if f.ID != "probes" {
			t.Errorf("that is harmless: %+v", f)
		}
	}
}
