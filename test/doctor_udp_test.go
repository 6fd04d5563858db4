package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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
