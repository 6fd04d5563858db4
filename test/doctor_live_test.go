package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"replypath/test/world"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// serveVariable has the program of this test be a UDP server at that address, until its standard input ends.
const serveVariable = "REPLYPATH_SERVE_UDP"

func serveIfAsked() {
	at, asked := os.LookupEnv(serveVariable)
	if !asked {
		return
	}
	network := "udp4"
	if strings.HasPrefix(at, "[") {
		network = "udp" // IPv4 too
	}
	c, err := net.ListenPacket(network, at)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	c.Close()
	os.Exit(0)
}

// serveAs has a process of that name serve UDP at the address.
func (b *box) serveAs(name, at string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), name)
	own, err := os.Executable()
	if err == nil {
		err = os.Symlink(own, path)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := b.Gateway.Command(context.Background(), path)
	cmd.Env = append(os.Environ(), serveVariable+"="+at)
	if _, err := cmd.StdinPipe(); err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.t.Fatalf("%s: %q, %v", name, line, err)
	}
}

// careful is a server of the test's own that asks at which address it is asked.
func (b *box) careful(network, at string) {
	b.t.Helper()
	var c net.PacketConn
	var err error
	b.Gateway.Do(func() { c, err = net.ListenPacket(network, at) })
	if err == nil {
		b.t.Cleanup(func() { c.Close() })
		if network == "udp4" {
			err = ipv4.NewPacketConn(c).SetControlMessage(ipv4.FlagDst, true)
		} else {
			err = ipv6.NewPacketConn(c).SetControlMessage(ipv6.FlagDst, true)
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestDoctorNamesUDPServersThatAnswerFromTheWrongAddress(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
	b.careful("udp4", "0.0.0.0:5301")
	b.careful("udp6", "[::]:5302")
	b.serveAs("bound", "192.0.2.2:5303")
	b.serveAs("dhclient", "0.0.0.0:68")
	if d := b.diagnose(); !d.well() {
		t.Fatalf("these answer rightly, or not at all: %s", d)
	}
	b.serveAs("openvpn", "0.0.0.0:1194")
	b.serveAs("nobody-knows", "[::]:5304")
	b.serveAs("asks", "0.0.0.0:40000") // a port that the kernel chooses
	d := b.diagnose()
	b.finds(d, isWarning, "udp-server", "openvpn on UDP port 1194", "multihome", "0.0.0.0 port 1194", "192.0.2.2, 2001:db8:b::2", "the address of eth0")
	b.finds(d, isWarning, "udp-server", "nobody-knows on UDP port 5304", "IP_PKTINFO")
	if n := len(d.of("udp-server")); n != 2 {
		t.Errorf("%d servers, want 2: %s", n, d)
	}
	// With a tunnel, a socket that no process has could be the kernel's: not so where processes cannot be looked at.
	b.Gateway.Run("sh", "-ec", "ip link add vx0 type vxlan id 5 dstport 4789; ip link set vx0 up")
	b.finds(b.diagnose(), isNote, "kernel-listener", "(vx0)", "port 4789")
	// Without the capability to look at others' sockets it says no more than it knows.
	d = b.diagnose(b.lacking("bpf,-sys_admin,-sys_ptrace"))
	b.finds(d, isNote, "udp-server-unknown", "0.0.0.0 port 1194: no process is seen", "0.0.0.0 port 5301")
	b.finds(d, isNote, "proof-unavailable", "CAP_BPF")
	b.configure(b.Uplinks[0])
	if d := b.diagnose(); len(d.of("udp-server")) > 0 {
		t.Errorf("the only uplink is main's default: %s", d)
	}
}

// lacking runs the program without some capabilities.
func (b *box) lacking(capabilities string) func(args ...string) result {
	return func(args ...string) result {
		inner := b.command(b.t.Context(), args...)
		return b.finish(b.Gateway.Command(b.t.Context(), "setpriv", append([]string{"--bounding-set", "-" + capabilities, "--", binary}, inner.Args[1:]...)...))
	}
}

func TestDoctorFindsOurBitsOnConnections(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
	track := func(from, to, mark string) {
		b.Gateway.Run("conntrack", "-I", "-p", "tcp", "-s", from, "-d", to, "--sport", "5000", "--dport", "22", "--state", "ESTABLISHED", "-u", "ASSURED", "-t", "100", "-m", mark)
	}
	track("203.0.113.7", "192.0.2.2", "0x200")
	track("203.0.113.8", "192.0.2.2", "0x40000")
	if d := b.diagnose(); !d.well() {
		t.Fatalf("an uplink's mark and the bits of others are no trouble: %s", d)
	}
	track("203.0.113.9", "192.0.2.2", "0x700")
	track("2001:db8:c::9", "2001:db8:b::2", "0xca6c")
	d := b.diagnose()
	b.finds(d, isWarning, "mark-bits-connections", "mark 0x700 on 1, such as protocol 6 from 203.0.113.9:5000 to 192.0.2.2:22", "mark 0xca6c on 1, such as protocol 6 from [2001:db8:c::9]:5000", "a program that is not known")
	b.Gateway.Run("ip", "rule", "add", "priority", "9000", "not", "fwmark", "0xca6c", "lookup", "51820")
	d = b.diagnose()
	b.finds(d, isWarning, "mark-bits-connections", "connections of wg-quick", "mark 0xca6c")
	b.finds(d, isWarning, "mark-bits-rule", "ip rules of wg-quick")
}

func TestDoctorTellsThatTheTableOfConnectionsIsNearlyFull(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
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
	if d := b.diagnose(); len(d.of("conntrack-full")) > 0 {
		t.Errorf("too early: %s", d)
	}
	fill(room*79/100, room*81/100)
	b.finds(b.diagnose(), isWarning, "conntrack-full", fmt.Sprintf("nf_conntrack_max = %d", room), fmt.Sprintf("nf_conntrack_max=%d", 2*room))
	fill(room*81/100, room*96/100)
	b.finds(b.diagnose(), isError, "conntrack-full")
}

func TestDoctorTellsWhatTheSourceCheckRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	q := world.Question{Kind: world.AskUDP, To: b.Uplinks[1].Port4(7000)}
	b.Gateway.ServeUDP(q.To.Port(), world.Pktinfo)
	if got := b.Client.Ask(q); got.OK {
		t.Fatalf("it was let in: %v", got)
	}
	d := b.diagnose()
	b.finds(d, isWarning, "rp-filter", "eth1: net.ipv4.conf.", "rp_filter = 1", "replypath apply")
	b.finds(d, isNote, "rp-filter-refused", "IPReversePathFilter ")
	b.apply()
	if d := b.diagnose(); !d.well() {
		t.Errorf("strict is right now: %s", d)
	}
}

func TestDoctorTellsWhatOfIptablesIsMissing(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.finds(b.diagnose(b.with(commands(t))), isError, "iptables-missing", "iptables: not found", "install the package iptables")
	b.finds(b.diagnose(b.with(commands(t, "iptables-nft"))), isError, "iptables-missing", "ip6tables")
	b.environment = append(os.Environ(), "XTABLES_LIBDIR="+without(t, "libxt_devgroup.so"))
	d := b.diagnose()
	b.finds(d, isError, "iptables-missing", "for IPv4", "match devgroup (module xt_devgroup)")
	b.finds(d, isError, "iptables-missing", "for IPv6", "match devgroup (module xt_devgroup)")
	ts := newTools(t)
	for _, command := range []string{"iptables", "ip6tables", "iptables-nft", "ip6tables-nft"} {
		ts.script(command+"-restore", fmt.Sprintf(`case $1 in --version) exec "$real" "$@";; esac
text=$(cat)
case $text in *devgroup*) printf '%s' >&2;; esac
printf '%%s\n' "$text" | "$real" "$@"`, nftLacks))
	}
	b.environment = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
	b.finds(b.diagnose(), isError, "iptables-missing", "match devgroup (module xt_devgroup)")
}

func TestDoctorNamesGatewaysWithOneAddress(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.write(`[uplinks.a]
id = 1
interface = "eth0"
gateway = ["198.51.100.1", "2001:db8:a::1"]
[uplinks.b]
id = 2
interface = "eth1"
gateway = ["198.51.100.1", "2001:db8:a::1"]
`)
	d := b.diagnose()
	b.finds(d, isNote, "same-gateway", "via 198.51.100.1 dev eth0, eth1")
	b.finds(d, isNote, "same-gateway", "via 2001:db8:a::1 dev eth0, eth1")
	b.configure(b.Uplinks...)
	if d := b.diagnose(); len(d.of("same-gateway")) > 0 {
		t.Errorf("link-local addresses are alike on every network: %s", d)
	}
}

func TestDoctorSaysWhatItMayNotLookAt(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	b.Gateway.Run("ip", "rule", "add", "priority", "1500", "lookup", "77")
	anybody := func(args ...string) result {
		inner := b.Gateway.Command(t.Context(), binary, append(args, "--config", "/nonexistent/replypath.toml")...)
		inner.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return b.finish(inner)
	}
	d := b.diagnose(anybody)
	b.finds(d, isError, "rule-before-ours", "ip rule 1500")
	var unseen []string
	for _, u := range d.Unseen {
		unseen = append(unseen, u.What)
	}
	if got := strings.Join(unseen, "; "); !strings.Contains(got, "the rules of the firewall; connections; whether the reply path can be shown") {
		t.Errorf("not looked at: %s", d)
	}
}

func TestDoctorSpeaksToPeople(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
	b.Gateway.Run("sh", "-ec", "ip rule add priority 1500 lookup 77; ip rule add priority 2500 lookup 77; ip link set eth1 mtu 1400")
	r := b.must(3, "doctor", "--root", b.root())
	for _, words := range []string{"1 error\n  rule-before-ours: ip rules of", "\n    | ip rule 1500: from all lookup ", "\n    > give those rules",
		"\n1 warning\n  rule-among-ours: ", "notes\n  "} {
		if !strings.Contains(r.stdout, words) {
			t.Errorf("it does not say %q:\n%s", words, r)
		}
	}
	for line := range strings.Lines(r.stdout) {
		if len(line) > 101 {
			t.Errorf("a line of %d columns: %s", len(line)-1, line)
		}
	}
	b.must(2, "doctor", "--yes")
	b.write("uplinks = [")
	b.must(2, "doctor", "--root", b.root())
}
