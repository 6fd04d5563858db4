package answer

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// dnsQuery is a query for the address of "test".
var dnsQuery = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04test\x00\x00\x01\x00\x01")

// realServer is a server of Debian's, with a configuration for a host with one uplink.
type realServer struct {
	port     uint16
	question []byte
	config   string   // of a file
	args     []string // %s stands for the file
	wrong    bool     // without help it replies from the wrong address
}

var realServers = map[string]realServer{
	"dnsmasq": {5310, dnsQuery, "", []string{"-d", "-u", "root", "-C", "%s", "--no-resolv", "--no-hosts", "-p", "5310", "--address=/test/198.18.0.9", "--pid-file"}, false},
	"unbound": {5300, dnsQuery, `server:
 interface: 0.0.0.0@5300
 interface: ::0@5300
 do-daemonize: no
 chroot: ""
 username: ""
 pidfile: ""
 access-control: 0.0.0.0/0 allow
 access-control: ::/0 allow
 local-zone: "test." static
 local-data: "test. A 198.18.0.9"
 module-config: "iterator"
 use-syslog: no
remote-control:
 control-enable: no
`, []string{"-d", "-c", "%s"}, true},
	"named": {5320, dnsQuery, `options {
 directory "/run";
 pid-file none;
 listen-on port 5320 { any; };
 listen-on-v6 port 5320 { any; };
 allow-query { any; };
 recursion no;
};
controls { };
`, []string{"-g", "-c", "%s"}, false},
	"openvpn": {1194, box.OpenVPNHello, "", []string{"--dev", "tun99", "--dev-type", "tun", "--mode", "server", "--tls-server", "--proto", "udp6", "--port", "1194",
		"--ca", "%s.pem", "--cert", "%s.pem", "--key", "%s.pem", "--dh", "none", "--ifconfig", "198.18.200.1", "198.18.200.2", "--verb", "1"}, true},
}

func TestRealServersReplyFromTheAddressThatWasAsked(t *testing.T) {
	for name, s := range realServers {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, box.Conditions{}, world.Options{}) // a strict rp_filter would refuse the requests before replypath is there
			s.start(t, b, name)
			for _, to := range b.Uplinks[0].Addrs() {
				if from := askServer(t, b, s, to); from != to {
					t.Errorf("the default uplink's %s is answered from %s", to, from)
				}
			}
			if s.wrong {
				for _, to := range b.Uplinks[1].Addrs() {
					if from := askServer(t, b, s, to); from == to {
						t.Errorf("without help %s is answered rightly: the test shows nothing", to)
					}
				}
			}
			b.Apply()
			for _, u := range b.Uplinks {
				for _, to := range u.Addrs() {
					if from := askServer(t, b, s, to); from != to {
						t.Errorf("%s is answered from %s", to, from)
					}
				}
			}
		})
	}
}

// start starts the server on the gateway.
func (s realServer) start(t *testing.T, b *box.Box, name string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(s.config), 0o600); err != nil {
		t.Fatal(err)
	}
	box.WriteCertificate(t, file+".pem")
	var args []string
	for _, a := range s.args {
		args = append(args, string(bytes.ReplaceAll([]byte(a), []byte("%s"), []byte(file))))
	}
	cmd := b.Gateway.Command(t.Context(), name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v: .ci/needs installs it", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out.String())
		}
	})
}

// askServer asks until an answer comes, and returns its source. A stranger's answer passes no provider that checks sources, so it
// is looked for on the gateway's side of every wire.
func askServer(t *testing.T, b *box.Box, s realServer, to netip.Addr) (from netip.Addr) {
	t.Helper()
	local := netip.AddrPortFrom(b.ClientAddr(to), b.ClientPort())
	p := b.RecordEgress()
	network := map[bool]string{true: "udp4", false: "udp6"}[to.Is4()]
	var socket *net.UDPConn
	var err error
	b.Client.Do(func() { socket, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(local)) })
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	answer := func(packet world.Packet) bool {
		return packet.Dir == world.In && packet.SrcPort == s.port && packet.DstPort == local.Port()
	}
	for late := time.Now().Add(box.EventualTimeout); time.Now().Before(late); {
		if _, err := socket.WriteToUDPAddrPort(s.question, netip.AddrPortFrom(to, s.port)); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			for _, wire := range p.Wires {
				if all := wire.Packets(); slices.ContainsFunc(all, answer) {
					return all[slices.IndexFunc(all, answer)].Src
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	t.Fatal(fmt.Errorf("%s port %d never answers", to, s.port))
	return from
}
