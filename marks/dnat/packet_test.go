package dnat_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/marks/dnat"
	"replypath/marks/foreign"
	"replypath/marks/iptables"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// The requests are to this port of the host; a datagram to sentinelPort that follows each shows that it is not on its way.
const (
	port         = 5306
	sentinelPort = 5999
)

// host is a host with a link eth1 to a client, a network behind lan0, and a server that receives all datagrams to port.
type host struct {
	*world.Host
	world  *world.World
	client *world.Host
	link   *world.Link
	server map[uint16]*net.UDPConn
}

func newHost(t *testing.T) *host {
	w := world.New(t)
	h := &host{Host: w.Host("h"), world: w, client: w.Host("c"), server: map[uint16]*net.UDPConn{}}
	end, inner := w.Join(h.client, "eth0", h.Host, "eth1")
	h.link = inner
	lan, _ := w.Join(h.Host, "lan0", w.Host("l"), "eth0")
	end.Addr("192.0.2.1/24", "2001:db8:b::1/64")
	inner.Addr("192.0.2.2/24", "2001:db8:b::2/64")
	lan.Addr("198.18.0.1/24", "2001:db8:f::1/64")
	for _, sysctl := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.eth1.route_localnet"} {
		h.SetSysctl(sysctl, "1")
	}
	h.Do(func() {
		for _, p := range []uint16{port, port + 1, sentinelPort} {
			c, err := net.ListenUDP("udp", &net.UDPAddr{Port: int(p)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			h.server[p] = c
		}
	})
	return h
}

// receives reports whether the server on the port receives a datagram of the client to the address.
func (h *host) receives(t *testing.T, to netip.Addr) bool {
	t.Helper()
	word := fmt.Sprint("request to ", to)
	h.client.Do(func() {
		for _, p := range []uint16{port, sentinelPort} {
			// A port of its own, for which conntrack does not have the translation of an earlier request.
			c, err := net.DialUDP("udp", &net.UDPAddr{Port: int(h.world.ClientPort())}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, p)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte(word)); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	})
	buffer := make([]byte, 99)
	h.server[sentinelPort].SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := h.server[sentinelPort].Read(buffer); err != nil || string(buffer[:n]) != word {
		t.Fatalf("the datagram after the request to %s is not received", to)
	}
	return isWaiting(t, h.server[port], word)
}

// isWaiting reports whether the next datagram that is there already is the word.
func isWaiting(t *testing.T, server net.Conn, word string) (is bool) {
	t.Helper()
	raw, err := server.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		buffer := make([]byte, 99)
		n, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT)
		is = err == nil && string(buffer[:n]) == word
	})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// read reads the rules of the host.
func (h *host) read(t *testing.T) (rules dnat.Rules) {
	t.Helper()
	h.Do(func() {
		var sources []foreign.Source
		for _, ipv6 := range []bool{false, true} {
			tables, err := iptables.Open(t.Context(), ipv6)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, tables.NFT, tables.Legacy)
		}
		var err error
		if rules, err = dnat.Read(t.Context(), sources...); err != nil {
			t.Fatal(err)
		}
	})
	return rules
}

// request returns the request of the client to the address.
func (h *host) request(to netip.Addr) dnat.Request {
	own := []string{"192.0.2.2", "2001:db8:b::2", "198.18.0.1", "2001:db8:f::1", "127.0.0.1", "::1"}
	return dnat.Request{Proto: unix.IPPROTO_UDP, To: to, Port: port, Link: "eth1", LinkID: h.link.Index,
		IsOfHost: func(a netip.Addr) bool { return strings.Contains(strings.Join(own, " ")+" ", a.String()+" ") }}
}

// scenario is a set of rules with the requests that a socket receives.
type scenario struct {
	name    string
	rules   string // one command each line; $IPT stands for iptables, $TO for a host behind it, $OTHER for another address of the host
	kept    bool   // the server receives the requests
	unknown bool   // the rules depend on what only the packet shows
}

var saved = []scenario{
	{name: "none", rules: "", kept: true},
	{name: "port", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $TO"},
	{name: "another port", rules: "$IPT -A PREROUTING -p udp --dport 5307 -j DNAT --to-destination $TO", kept: true},
	{name: "another protocol", rules: "$IPT -A PREROUTING -p tcp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "all but this protocol", rules: "$IPT -A PREROUTING ! -p udp -j DNAT --to-destination $TO", kept: true},
	{name: "range", rules: "$IPT -A PREROUTING -p udp --dport 5300:5310 -j DNAT --to-destination $TO"},
	{name: "outside the range", rules: "$IPT -A PREROUTING -p udp ! --dport 5300:5310 -j DNAT --to-destination $TO", kept: true},
	{name: "open range", rules: "$IPT -A PREROUTING -p udp --dport 5306: -j DNAT --to-destination $TO"},
	{name: "multiport", rules: "$IPT -A PREROUTING -p udp -m multiport --dports 53,5300:5306 -j DNAT --to-destination $TO"},
	{name: "not of multiport", rules: "$IPT -A PREROUTING -p udp -m multiport ! --dports 53,5306 -j DNAT --to-destination $TO", kept: true},
	{name: "a source port", rules: "$IPT -A PREROUTING -p udp -m multiport --ports 1 -j ACCEPT\n$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $TO", unknown: true},
	{name: "link", rules: "$IPT -A PREROUTING -i eth1 -p udp --dport 5306 -j DNAT --to-destination $TO"},
	{name: "another link", rules: "$IPT -A PREROUTING -i eth0 -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "links by prefix", rules: "$IPT -A PREROUTING -i eth+ -p udp --dport 5306 -j DNAT --to-destination $TO"},
	{name: "address", rules: "$IPT -A PREROUTING -d $OWN -p udp --dport 5306 -j DNAT --to-destination $TO"},
	{name: "not the address", rules: "$IPT -A PREROUTING ! -d $OWN -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "local address", rules: "$IPT -A PREROUTING -m addrtype --dst-type LOCAL -p udp --dport 5306 -j DNAT --to-destination $TO"},
	{name: "no local address", rules: "$IPT -A PREROUTING -m addrtype ! --dst-type LOCAL -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "new connections", rules: "$IPT -A PREROUTING -p udp --dport 5306 -m conntrack --ctstate NEW -j DNAT --to-destination $TO"},
	{name: "docker", rules: "$IPT -N DOCKER\n$IPT -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n$IPT -A DOCKER -i docker0 -j RETURN\n$IPT -A DOCKER ! -i docker0 -p udp -m udp --dport 5306 -j DNAT --to-destination $TO"},
	{name: "returns before", rules: "$IPT -N DOCKER\n$IPT -A PREROUTING -j DOCKER\n$IPT -A DOCKER -i eth1 -j RETURN\n$IPT -A DOCKER -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "accepted before", rules: "$IPT -A PREROUTING -i eth1 -j ACCEPT\n$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "goto skips it", rules: "$IPT -N A\n$IPT -A PREROUTING -g A\n$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "kube-proxy", rules: "$IPT -N SVC\n$IPT -N SEP1\n$IPT -N SEP2\n$IPT -A PREROUTING -p udp --dport 5306 -m comment --comment 'a service -j ACCEPT' -j SVC\n" +
		"$IPT -A SVC -m statistic --mode random --probability 0.5 -j SEP1\n$IPT -A SVC -j SEP2\n$IPT -A SEP1 -p udp -j DNAT --to-destination $TO\n$IPT -A SEP2 -p udp -j DNAT --to-destination $TO"},
	{name: "to another port of the host", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j REDIRECT --to-ports 5307"},
	{name: "to the same port of the host", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j REDIRECT --to-ports 5306", kept: true},
	{name: "to another address of the host", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $OTHER", kept: true},
	{name: "to another port at an address of the host", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $BRACKETED:5307"},
	{name: "to itself first", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j REDIRECT --to-ports 5306\n$IPT -A PREROUTING -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true},
	{name: "a network", rules: "$IPT -A PREROUTING -d $OWN -p udp --dport 5306 -j NETMAP --to $TO"},
	{name: "another client", rules: "$IPT -A PREROUTING -s $STRANGER -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true, unknown: true},
	{name: "a share of the packets", rules: "$IPT -A PREROUTING -m statistic --mode nth --every 9 --packet 8 -p udp --dport 5306 -j DNAT --to-destination $TO", kept: true, unknown: true},
	{name: "logged", rules: "$IPT -A PREROUTING -p udp --dport 5306 -j MARK --set-mark 5\n$IPT -A PREROUTING -p udp --dport 5306 -m comment --comment x -j DNAT --to-destination $TO"},
}

// values returns what the names in rules stand for.
func values(to netip.Addr, tool string) map[string]string {
	if to.Is4() {
		return map[string]string{"IPT": "iptables-" + tool + " -w -t nat", "TO": "198.18.0.2", "OTHER": "198.18.0.1", "BRACKETED": "198.18.0.1", "OWN": to.String(), "STRANGER": "0.0.0.0/1"}
	}
	return map[string]string{"IPT": "ip6tables-" + tool + " -w -t nat", "TO": "2001:db8:f::2", "OTHER": "2001:db8:f::1", "BRACKETED": "[2001:db8:f::1]", "OWN": to.String(), "STRANGER": "8000::/1"}
}

// TestPacketsConfirmSavedRules compares the answer for rules of iptables with what a server receives.
func TestPacketsConfirmSavedRules(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			for _, own := range []string{"192.0.2.2", "2001:db8:b::2"} {
				v := values(netip.MustParseAddr(own), backend)
				v["FIRST"] = v["IPT"] + " -A PREROUTING -p udp --dport 5999 -j ACCEPT\n"
				for _, s := range saved {
					s.rules = "$FIRST" + s.rules
					h.check(t, s, netip.MustParseAddr(own), v, "$IPT -F; $IPT -X")
				}
			}
		})
	}
}

// check makes the rules, compares and deletes them.
func (h *host) check(t *testing.T, s scenario, to netip.Addr, values map[string]string, cleanup string) {
	t.Helper()
	expand := func(name string) string { return values[name] }
	h.Run("sh", "-ec", os.Expand(os.Expand(s.rules, expand), expand))
	defer h.Run("sh", "-ec", os.Expand(cleanup, expand))
	received, taken := h.receives(t, to), h.read(t).TakesAway(h.request(to))
	if received != s.kept || taken != (!received && !s.unknown) {
		t.Errorf("%s, to %s: received %t, want %t; taken away: %t", s.name, to, received, s.kept, taken)
	}
}
