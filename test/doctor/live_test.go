package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestDoctorReportsForeignMarksOnConnections(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	track := func(from, to, mark string) {
		b.Gateway.Run("conntrack", "-I", "-p", "tcp", "-s", from, "-d", to, "--sport", "5000", "--dport", "22", "--state", "ESTABLISHED", "-u", "ASSURED", "-t", "100", "-m", mark)
	}
	track("203.0.113.7", "192.0.2.2", "0x200")
	track("203.0.113.8", "192.0.2.2", "0x40000")
	if d := b.RunDoctor(); !d.Healthy() {
		t.Fatalf("an uplink's mark and the bits of others are no trouble: %s", d)
	}
	track("203.0.113.9", "192.0.2.2", "0x700")
	track("2001:db8:c::9", "2001:db8:b::2", "0xca6c")
	d := b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "mark-bits-connections", "connections with mark 0x700: 1, such as protocol 6 from 203.0.113.9:5000 to 192.0.2.2:22", "connections with mark 0xca6c: 1, such as protocol 6 from [2001:db8:c::9]:5000", "an unknown program")
	b.Gateway.Run("ip", "rule", "add", "priority", "9000", "not", "fwmark", "0xca6c", "lookup", "51820")
	d = b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "mark-bits-connections", "connections of wg-quick", "mark 0xca6c")
	b.WantFinding(d, box.IsWarning, "mark-bits-rule", "ip rules of wg-quick")
}

func TestDoctorReportsANearlyFullConntrackTable(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	room, err := strconv.Atoi(b.Gateway.Sysctl("net.netfilter.nf_conntrack_max"))
	if err != nil {
		t.Fatal(err)
	}
	const ports = 60000
	fill := func(first, last int) {
		var lines strings.Builder
		for i := first; i < last; i++ {
			fmt.Fprintf(&lines, "-A -p udp -s 203.0.113.%d -d 198.51.100.2 --sport %d --dport 53 -t 3000\n", 1+i/ports, 1+i%ports)
		}
		path := filepath.Join(t.TempDir(), "connections")
		if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		b.Gateway.Run("conntrack", "-R", path)
	}
	fill(0, room*79/100)
	if d := b.RunDoctor(); len(d.Of("conntrack-full")) > 0 {
		t.Errorf("too early: %s", d)
	}
	fill(room*79/100, room*81/100)
	b.WantFinding(b.RunDoctor(), box.IsWarning, "conntrack-full", fmt.Sprintf("nf_conntrack_max = %d", room), fmt.Sprintf("nf_conntrack_max=%d", 2*room))
	fill(room*81/100, room*96/100)
	b.WantFinding(b.RunDoctor(), box.IsError, "conntrack-full")
}

func TestDoctorReportsRPFilterDrops(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	q := world.Request{Kind: world.KindUDP, To: b.Uplinks[1].Port4(7000), ExpectTimeout: true}
	b.Gateway.ServeUDP(q.To.Port(), world.Pktinfo)
	if got := b.Client.Send(q); got.OK {
		t.Fatalf("it was let in: %v", got)
	}
	d := b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "rp-filter", "eth1: net.ipv4.conf.", "rp_filter = 1", "replypath apply")
	b.WantFinding(d, box.IsNote, "rp-filter-refused", "IPReversePathFilter ")
	b.Apply()
	if d := b.RunDoctor(); !d.Healthy() {
		t.Errorf("strict is right now: %s", d)
	}
}

func TestDoctorReportsMissingIptables(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t), box.Backends[0])
	b.WantFinding(b.RunDoctor(b.WithCommandsIn(box.CommandFolder(t))), box.IsError, "iptables-missing", "iptables: not found", "install the package iptables")
	b.WantFinding(b.RunDoctor(b.WithCommandsIn(box.CommandFolder(t, "iptables-nft"))), box.IsError, "iptables-missing", "ip6tables")
	b.Env = append(os.Environ(), "XTABLES_LIBDIR="+box.ExtensionsWithout(t, "libxt_devgroup.so"))
	d := b.RunDoctor()
	b.WantFinding(d, box.IsError, "iptables-missing", "for IPv4", "match devgroup (module xt_devgroup)")
	b.WantFinding(d, box.IsError, "iptables-missing", "for IPv6", "match devgroup (module xt_devgroup)")
	ts := box.NewWrappers(t)
	for _, command := range []string{"iptables", "ip6tables", "iptables-nft", "ip6tables-nft"} {
		ts.Replace(command+"-restore", fmt.Sprintf(`case $1 in --version) exec "$real" "$@";; esac
text=$(cat)
case $text in *devgroup*) printf '%s' >&2;; esac
printf '%%s\n' "$text" | "$real" "$@"`, box.NftLacks))
	}
	b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
	b.WantFinding(b.RunDoctor(), box.IsError, "iptables-missing", "match devgroup (module xt_devgroup)")
}

func TestDoctorReportsUplinksWithTheSameGateway(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Write(`[uplinks.a]
id = 1
interface = "eth0"
gateway = ["198.51.100.1", "2001:db8:a::1"]
[uplinks.b]
id = 2
interface = "eth1"
gateway = ["198.51.100.1", "2001:db8:a::1"]
`)
	d := b.RunDoctor()
	b.WantFinding(d, box.IsNote, "same-gateway", "via 198.51.100.1 dev eth0, eth1")
	b.WantFinding(d, box.IsNote, "same-gateway", "via 2001:db8:a::1 dev eth0, eth1")
	b.Configure(b.Uplinks...)
	if d := b.RunDoctor(); len(d.Of("same-gateway")) > 0 {
		t.Errorf("link-local addresses are alike on every network: %s", d)
	}
}

func TestDoctorReportsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	b.Gateway.Run("ip", "rule", "add", "priority", "1500", "lookup", "77")
	b.Gateway.Run("ip", "route", "add", "unreachable", "default", "table", "77")
	anybody := func(args ...string) box.Result {
		inner := b.Gateway.Command(t.Context(), box.Binary, append(args, "--config", "/nonexistent/replypath.toml")...)
		inner.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return b.RunCommand(inner)
	}
	d := b.RunDoctor(anybody)
	b.WantFinding(d, box.IsError, "rule-before-ours", "ip rule 1500")
	var unseen []string
	for _, u := range d.Unseen {
		unseen = append(unseen, u.What)
	}
	if got := strings.Join(unseen, "; "); !strings.Contains(got, "the rules of the firewall; connections; whether reply paths can be traced") {
		t.Errorf("not looked at: %s", d)
	}
}

func TestDoctorTextOutput(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	b.Gateway.Run("sh", "-ec", "ip route add unreachable default table 77; ip rule add priority 1500 lookup 77; ip rule add priority 2500 lookup 77; ip link set eth1 mtu 1400")
	r := b.Must(3, "doctor", "--root", b.Root())
	for _, words := range []string{"1 error\n  rule-before-ours: ip rules of", "\n    | ip rule 1500: from all lookup ", "\n    > give those rules",
		"\n1 warning\n  rule-among-ours: ", "notes\n  "} {
		if !strings.Contains(r.Stdout, words) {
			t.Errorf("it does not say %q:\n%s", words, r)
		}
	}
	for line := range strings.Lines(r.Stdout) {
		if len(line) > 101 {
			t.Errorf("a line of %d columns: %s", len(line)-1, line)
		}
	}
	b.Must(2, "doctor", "--yes")
	b.Write("uplinks = [")
	b.Must(2, "doctor", "--root", b.Root())
}
