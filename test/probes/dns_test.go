package probes

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a name server that knows one address of each family.
type nameServer struct {
	mu      sync.Mutex
	known   map[dnsmessage.Type]netip.Addr
	queries map[netip.Addr]int // by whom
}

// serveNames answers on the client.
func serveNames(b *box.Box, addrs ...netip.Addr) *nameServer {
	b.T.Helper()
	s := &nameServer{queries: map[netip.Addr]int{}}
	s.set(addrs...)
	for _, at := range []string{"0.0.0.0:53", "[::]:53"} {
		var socket net.PacketConn
		var err error
		b.Client.Do(func() { socket, err = net.ListenPacket(map[bool]string{true: "udp4", false: "udp6"}[at[0] == '0'], at) })
		if err != nil {
			b.T.Fatal(err)
		}
		b.T.Cleanup(func() { socket.Close() })
		go s.run(socket)
	}
	return s
}

// set changes what the names stand for.
func (s *nameServer) set(addrs ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = map[dnsmessage.Type]netip.Addr{}
	for _, addr := range addrs {
		s.known[map[bool]dnsmessage.Type{true: dnsmessage.TypeA, false: dnsmessage.TypeAAAA}[addr.Is4()]] = addr
	}
}

// queriesFrom returns the number of queries from an address.
func (s *nameServer) queriesFrom(who netip.Addr) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[who]
}

func (s *nameServer) run(socket net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		s.answer(&m, from.(*net.UDPAddr).AddrPort().Addr().Unmap())
		if text, err := m.Pack(); err == nil {
			_, _ = socket.WriteTo(text, from) // a lost response is queried again
		}
	}
}

func (s *nameServer) answer(m *dnsmessage.Message, who netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries[who]++
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	addr, ok := s.known[q.Type]
	if !ok {
		return
	}
	body := dnsmessage.ResourceBody(&dnsmessage.AAAAResource{AAAA: addr.As16()})
	if addr.Is4() {
		body = &dnsmessage.AResource{A: addr.As4()}
	}
	m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: body}}
}

// startProberWithFiles starts a prober with these files in place of all in /etc and /run.
func startProberWithFiles(b *box.Box, files map[string]string) *prober {
	b.T.Helper()
	script := "mount -t tmpfs none /etc\nmount -t tmpfs none /run\nmkdir -p /run/systemd/resolve\n"
	for name, text := range files {
		file := filepath.Join(b.Dir, filepath.Base(filepath.Dir(name))+"-"+filepath.Base(name))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.T.Fatal(err)
		}
		script += "cp " + file + " " + name + "\n"
	}
	program, err := os.Executable()
	if err != nil {
		b.T.Fatal(err)
	}
	return startProberCommand(b.T, b.Gateway.Command(b.T.Context(), "unshare", "-m", "sh", "-ec", script+`exec "$@"`, "sh", program, "-test.run=^$"))
}

// isDNS returns packets to and from a name server.
func isDNS(p world.Packet) bool { return p.DstPort == 53 || p.SrcPort == 53 }

func TestProbeNamesAreResolvedThroughTheUplink(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Client.ServeTCP(box.ServedPort)
	server := serveNames(b, b.Client4, b.Client6)
	b.Apply()
	real := "search example.net\nnameserver " + b.Client4.String() + "\nnameserver " + b.Client6.String() + "\n"
	for name, files := range map[string]map[string]string{
		"as configured": {"/etc/resolv.conf": real},
		"behind systemd-resolved": {"/etc/resolv.conf": "nameserver 127.0.0.53\noptions edns0 trust-ad\n",
			"/run/systemd/resolve/resolv.conf": real},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, u := b.RecordEgress(), startProberWithFiles(b, files), b.Uplinks[1]
			before := server.queriesFrom(u.Addr4)
			for _, f := range uplinks.Families {
				for _, target := range []health.Target{{Kind: health.ICMP, Host: "target.example"}, {Kind: health.TCP, Host: "target.example", Port: box.ServedPort}} {
					a.wantReply(newProbe(probePath(u, f), target, replyTimeout))
				}
			}
			p.Settle()
			if n := p.Wires[0].Count(isDNS); n != 0 || p.Wires[1].Count(isDNS) == 0 {
				t.Errorf("%d packets to and from the name server by eth0, %d by eth1", n, p.Wires[1].Count(isDNS))
			}
			if n := server.queriesFrom(u.Addr4) - before; n == 0 {
				t.Error("no query came from the uplink's address")
			}
			a.stop()
		})
	}
}

func TestProbeNamesAreCachedUntilTheHostFails(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	server := serveNames(b, b.Client4)
	b.Apply()
	a, u := startProberWithFiles(b, map[string]string{"/etc/resolv.conf": "nameserver " + b.Client4.String() + "\n"}), b.Uplinks[1]
	target := health.Target{Kind: health.ICMP, Host: "target.example"}
	a.wantReply(newProbe(probePath(u, uplinks.IPv4), target, replyTimeout))
	first := server.queriesFrom(u.Addr4)
	server.set(netip.MustParseAddr("203.0.113.99"))
	a.wantReply(newProbe(probePath(u, uplinks.IPv4), target, replyTimeout))
	if n := server.queriesFrom(u.Addr4); n != first {
		t.Errorf("a cached name was queried again: %d queries after %d", n, first)
	}
	a.wantError(newProbe(probePath(b.Uplinks[0], uplinks.IPv4), target, noReplyTimeout), "ping 203.0.113.99 through eth0: no reply within 300ms")
	server.set(b.Client4)
	a.wantReply(newProbe(probePath(b.Uplinks[0], uplinks.IPv4), target, replyTimeout))
	a.wantError(newProbe(probePath(u, uplinks.IPv6), target, replyTimeout), "look up target.example through eth1: the host has no IPv6 address")
	a.wantError(newProbe(probePath(u, uplinks.IPv6), icmpTarget(b.Client4), replyTimeout), "203.0.113.10 is not an IPv6 address")
	b.Client.Run("ip", "link", "set", "isp1", "down")
	a.wantError(newProbe(probePath(u, uplinks.IPv4), health.Target{Kind: health.ICMP, Host: "other.example"}, noReplyTimeout), "look up other.example through eth1: no name server replied in time")
	a.stop()
}
