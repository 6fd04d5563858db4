package pair

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
)

// The server speaks to the client by the node that is not in charge, as right after a take-over whose connections are not
// committed yet. The second half shows that it is the hold that stops these packets.
func TestNodeThatIsNotInChargeHoldsWhatBelongsToNoConnection(t *testing.T) {
	n := newNetwork(t)
	n.startPair(t)
	second := n.nodes[1]
	box.Eventually(t, box.EventualTimeout, "the hold is there", func() bool {
		return strings.Contains(second.host.Run("nft", "list", "ruleset"), "ct state invalid,new drop")
	})
	shell(n.server, "ip route add 203.0.113.10 via 198.18.0.12", "ip -6 route add 2001:db8:c::10 via 2001:db8:f::12")
	n.speakFirst(t)
	if strays := n.strays(); strays > 0 {
		t.Errorf("%d packets strayed", strays)
	}
	shell(second.host, "nft delete table inet pair")
	n.speakFirst(t)
	if strays := n.strays(); strays < 4 {
		t.Errorf("without the hold %d packets strayed: the test shows nothing", strays)
	}
}

// speakFirst sends datagrams and the middle of TCP connections from the server to the client.
func (n *network) speakFirst(t *testing.T) {
	t.Helper()
	for _, c := range [][2]string{{"198.18.0.100", "203.0.113.10"}, {"2001:db8:f::100", "2001:db8:c::10"}} {
		from, to := netip.MustParseAddr(c[0]), netip.MustParseAddr(c[1])
		var socket *net.UDPConn
		err := n.server.Bind(func() (err error) {
			socket, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 8080)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 40000)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, _ = socket.Write([]byte("push")) // an error is the answer to the one before
		}
		socket.Close()
	}
	n.w.Settle()
}

func TestDifferentIDsAreNamedByBothNodes(t *testing.T) {
	n := newNetwork(t)
	n.nodes[1].install("replypath.toml", "replypath", 0o600, "id = 1", "id = 2", "id = 2", "id = 1")
	n.serveEcho(t)
	n.startPair(t)
	began := time.Now()
	for _, g := range n.nodes {
		mine, other := g.number, 3-g.number
		want := []string{fmt.Sprintf("id of uplink fibre: %d here, %d on the peer", mine, other), fmt.Sprintf("id of uplink lte: %d here, %d on the peer", other, mine)}
		box.Eventually(t, box.EventualTimeout, g.host.Name+" names the difference", func() bool {
			out, status := g.replypath("status")
			return status == 3 && strings.Contains(out, want[0]) && strings.Contains(out, want[1])
		})
		if out, status := g.replypath("check", "--peer", peerURL(g)); status != 3 || !strings.Contains(out, want[0]) || !strings.Contains(out, want[1]) {
			t.Errorf("%s: exit %d: %s", g.host.Name, status, out)
		}
	}
	t.Logf("both name it %v after the start", time.Since(began).Round(time.Millisecond))
	n.startFlows(t)
	box.Eventually(t, box.EventualTimeout, "the second node sees it on the connections that were copied", func() bool {
		out, status := n.nodes[1].replypath("doctor")
		return status == 3 && strings.Contains(out, "mark-of-other-uplink")
	})
}

// The nodes' own services are not copied: what was open is reset, not left hanging, and new connections work at once.
func TestConnectionsToTheNodesAreResetAndMadeAnew(t *testing.T) {
	n := newNetwork(t)
	for _, g := range n.nodes {
		for _, family := range []string{"0.0.0.0:7000", "[::]:7000"} {
			var listener net.Listener
			var err error
			g.host.Do(func() {
				listener, err = net.Listen(map[bool]string{true: "tcp6", false: "tcp4"}[family[0] == '['], family)
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			go acceptAll(listener)
		}
	}
	n.startPair(t)
	var open []net.Conn
	dial := func(vip string) net.Conn {
		var c net.Conn
		var err error
		n.client.Do(func() { c, err = net.DialTimeout("tcp", net.JoinHostPort(vip, "7000"), time.Minute) })
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		if err == nil {
			_, err = c.Read(make([]byte, 16))
		}
		if err != nil {
			t.Fatalf("%s: %v", vip, err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for uplink := range prefixes {
		for _, vip := range vips(uplink) {
			open = append(open, dial(vip))
		}
	}
	shell(n.lan, "ip link set node1 down")
	n.nodes[1].await(t, true)
	for _, c := range open {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, err := c.Write([]byte("hello"))
		if err == nil {
			_, err = c.Read(make([]byte, 16))
		}
		if err == nil || !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v, want a reset", c.RemoteAddr(), err)
		}
		vip, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		dial(vip)
	}
	if strays := n.strays(); strays > 0 {
		t.Errorf("%d packets strayed", strays)
	}
}
