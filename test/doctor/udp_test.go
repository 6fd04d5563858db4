package doctor

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// udpServerVariable has the program of this test be a UDP server at that address, until its standard input ends.
const udpServerVariable = "REPLYPATH_SERVE_UDP"

func runUDPServerIfRequested() {
	at, requested := os.LookupEnv(udpServerVariable)
	if !requested {
		return
	}
	network := "udp4"
	at, connects := strings.CutPrefix(at, "connect ")
	if strings.HasPrefix(at, "[") {
		network = "udp" // IPv4 too
	}
	c, err := net.ListenPacket(network, at)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	if connects {
		connectToClient(c.(*net.UDPConn))
	}
	os.Stdin.Read(make([]byte, 1))
	c.Close()
	os.Exit(0)
}

// connectToClient connects the socket to its first client, replies and receives from it alone, as iperf3 and nc do.
func connectToClient(c *net.UDPConn) {
	data := make([]byte, 1500)
	n, client, err := c.ReadFromUDPAddrPort(data)
	if err != nil {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(client.Port()), Addr: client.Addr().As16()}
		if domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_INET {
			to = &unix.SockaddrInet4{Port: int(client.Port()), Addr: client.Addr().Unmap().As4()}
		}
		if unix.Connect(int(fd), to) == nil {
			unix.Write(int(fd), data[:n])
		}
	})
}

// serveUDPAs starts a process of that name that serves UDP at the address.
func serveUDPAs(b *box.Box, name, at string) {
	b.T.Helper()
	path := filepath.Join(b.T.TempDir(), name)
	own, err := os.Executable()
	if err == nil {
		err = os.Symlink(own, path)
	}
	if err != nil {
		b.T.Fatal(err)
	}
	cmd := b.Gateway.Command(context.Background(), path)
	cmd.Env = append(os.Environ(), udpServerVariable+"="+at)
	if _, err := cmd.StdinPipe(); err != nil {
		b.T.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.T.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.T.Fatalf("%s: %q, %v", name, line, err)
	}
}

// servePktinfoUDP opens a UDP server of the test itself that enables IP_PKTINFO.
func servePktinfoUDP(b *box.Box, network, at string) {
	b.T.Helper()
	var c net.PacketConn
	err := b.Gateway.Bind(func() (err error) {
		c, err = net.ListenPacket(network, at)
		return err
	})
	if err == nil {
		b.T.Cleanup(func() { c.Close() })
		if network == "udp4" {
			err = ipv4.NewPacketConn(c).SetControlMessage(ipv4.FlagDst, true)
		} else {
			err = ipv6.NewPacketConn(c).SetControlMessage(ipv6.FlagDst, true)
		}
	}
	if err != nil {
		b.T.Fatal(err)
	}
}

func TestDoctorReportsWildcardUDPServers(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	servePktinfoUDP(b, "udp4", "0.0.0.0:5301")
	servePktinfoUDP(b, "udp6", "[::]:5302")
	serveUDPAs(b, "bound", "192.0.2.2:5303")
	serveUDPAs(b, "dhclient", "0.0.0.0:68")
	if d := b.RunDoctor(); !d.Healthy() {
		t.Fatalf("these answer rightly, or not at all: %s", d)
	}
	serveUDPAs(b, "openvpn", "0.0.0.0:1194")
	serveUDPAs(b, "nobody-knows", "[::]:5304")
	serveUDPAs(b, "asks", "0.0.0.0:40000") // a port that the kernel chooses
	d := b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "udp-server", "openvpn on UDP port 1194", "multihome", "0.0.0.0 port 1194", "192.0.2.2, 2001:db8:b::2", "the address of eth0")
	b.WantFinding(d, box.IsWarning, "udp-server", "nobody-knows on UDP port 5304", "IP_PKTINFO")
	if n := len(d.Of("udp-server")); n != 2 {
		t.Errorf("%d servers, want 2: %s", n, d)
	}
	// With a tunnel, a socket that no process has could be the kernel's: not so where processes cannot be looked at.
	b.Gateway.Run("sh", "-ec", "ip link add vx0 type vxlan id 5 dstport 4789; ip link set vx0 up")
	b.WantFinding(b.RunDoctor(), box.IsNote, "kernel-listener", "(vx0)", "port 4789")
	// Without the capability to inspect other processes' sockets it reports only what it knows.
	d = b.RunDoctor(withoutCapabilities(b, "bpf,-sys_admin,-sys_ptrace"))
	b.WantFinding(d, box.IsNote, "udp-server-unknown", "0.0.0.0 port 1194: unknown process", "0.0.0.0 port 5301")
	b.WantFinding(d, box.IsNote, "proof-unavailable", "CAP_BPF")
	b.Configure(b.Uplinks[0])
	if d := b.RunDoctor(); len(d.Of("udp-server")) > 0 {
		t.Errorf("the only uplink is main's default: %s", d)
	}
}

// withoutCapabilities runs the program without some capabilities.
func withoutCapabilities(b *box.Box, capabilities string) func(args ...string) box.Result {
	return func(args ...string) box.Result {
		inner := b.Command(b.T.Context(), args...)
		return b.RunCommand(b.Gateway.Command(b.T.Context(), "setpriv", append([]string{"--bounding-set", "-" + capabilities, "--", box.Binary}, inner.Args[1:]...)...))
	}
}

// knownServers returns the servers that the doctor has a remedy for, as it is written.
func knownServers(t *testing.T) map[string]string {
	t.Helper()
	_, table, _ := strings.Cut(house.Text(t, "cmd/internal/doctor"), "var serverRemedies = map[string]string{")
	table, _, _ = strings.Cut(table, "\n}")
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`"([^"]+)": +"([^"]+)"`).FindAllStringSubmatch(table, -1) {
		all[m[1]] = m[2]
	}
	if len(all) < 15 {
		t.Fatalf("only %d servers: %v", len(all), all)
	}
	return all
}

// keywords are what each server's own manual calls it.
var keywords = map[string]string{
	"unbound": "interface-automatic: yes", "named": "listen-on", "dnsmasq": "bind-dynamic", "openvpn": "multihome", "ntpd": "interface listen",
	"chronyd": "bindaddress", "coredns": "bind", "snmpd": "agentAddress udp:", "iperf3": "-B", "iperf": "-B", "in.tftpd": "--address",
	"asterisk": "bind=", "xl2tpd": "listen-addr", "radiusd": "ipaddr", "turnserver": "listening-ip",
}

// doctor and explain print the remedy of each known server, and accept one that is bound to the addresses or enables
// IP_PKTINFO; replies to clients confirm it.
func TestDoctorAndExplainPrintTheRemedyOfEachUDPServer(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	healthy := b.RunDoctor()
	port := map[string]int{}
	for name := range knownServers(t) {
		port[name] = 5400 + len(port)
		serveUDPAs(b, name, fmt.Sprintf("[::]:%d", port[name]))
	}
	var ids []string
	for range port {
		ids = append(ids, "udp-server")
	}
	output := map[string]box.DoctorFinding{}
	for _, f := range wantNewFindings(b, healthy, b.RunDoctor(), ids...) {
		name, _, _ := strings.Cut(f.What, " ")
		output[name] = f
	}
	for name, remedy := range knownServers(t) {
		want := findingCase{severity: box.IsWarning, words: []string{fmt.Sprintf("%s on UDP port %d replies from the address of eth0", name, port[name])},
			evidence: []string{fmt.Sprintf("udp :: port %d: %s (process ", port[name], name), "without IP_PKTINFO"},
			remedy:   remedy + " (198.51.100.2, 2001:db8:a::2, 192.0.2.2, 2001:db8:b::2)"}
		want.check(t, output[name])
		if keywords[name] == "" || !strings.Contains(remedy, keywords[name]) {
			t.Errorf("%s: %q does not say %q", name, remedy, keywords[name])
		}
		b.Explain(t, 3, []string{"--listen", fmt.Sprintf("%d/udp", port[name])}, name+", process ", "on the wildcard address without IP_PKTINFO", "WRONG", "remedy: "+remedy)
	}
}

func TestDoctorAndExplainAcceptCorrectUDPServers(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	healthy := b.RunDoctor()
	right := func(port uint16, want bool) {
		t.Helper()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				if got := b.Client.Send(world.Request{Kind: world.KindUDP, To: netip.AddrPortFrom(to, port), ExpectTimeout: !want}); got.OK != (want || u.Index == 0) {
					t.Errorf("port %d: %v", port, got)
				}
			}
		}
		status, findings := 0, []string(nil)
		if !want {
			// One socket for each family.
			status, findings = 3, []string{"udp-server"}
		}
		b.Explain(t, status, []string{"--listen", fmt.Sprintf("%d/udp", port)})
		wantNewFindings(b, healthy, b.RunDoctor(), findings...)
	}
	pktinfo := b.Gateway.ServeUDP(5501, world.Pktinfo)
	right(5501, true)
	b.Explain(t, 0, []string{"--listen", "5501/udp"}, "on the wildcard address with IP_PKTINFO: it replies from the address that received the request")
	pktinfo.Close()
	any := b.Gateway.ServeUDP(5502, world.Wildcard)
	right(5502, false)
	// The remedy, as ntpd does it too: sockets of their own for the addresses, beside the one for any.
	for _, u := range b.Uplinks {
		for _, a := range u.Addrs() {
			b.Gateway.ServeUDPAt(netip.AddrPortFrom(a, 5502))
		}
	}
	for _, u := range b.Uplinks {
		for _, to := range u.Addrs() {
			if got := b.Client.Send(world.Request{Kind: world.KindUDP, To: netip.AddrPortFrom(to, 5502)}); !got.OK {
				t.Errorf("beside the one for any: %v", got)
			}
		}
	}
	wantNewFindings(b, healthy, b.RunDoctor())
	b.Explain(t, 0, []string{"--listen", "5502/udp"}, "it receives no request by an uplink", "udp 192.0.2.2:5502", "udp [2001:db8:b::2]:5502")
	any.Close()
	right(5502, true)
}
