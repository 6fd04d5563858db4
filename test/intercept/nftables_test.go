package intercept

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// Without the service, the kernel itself passes by a proxy that has ended: at once, and with new connections alone.
func TestKernelPassesByAProxyThatEndedInNftables(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 1}, box.Nftables, true)
	p.startProxies()
	p.Apply()
	var held []func() error
	for _, to := range []netip.Addr{p.Client4, p.Client6} {
		held = append(held, p.hold(t, netip.AddrPortFrom(to, webPort)))
		p.ask(t, p.LAN, world.KindUDP, netip.AddrPortFrom(to, dnsPort).String(), 0, byProxy+p.Gateway.Name)
	}
	p.out.stopListening() // its own connections stay
	for _, to := range []netip.Addr{p.Client4, p.Client6} {
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(to, webPort).String(), 0, p.Client.Name)
	}
	for i, exchange := range held {
		if err := exchange(); err != nil {
			t.Errorf("connection %d that the proxy has: %v", i, err)
		}
	}
	p.out.close()
	p.dns.close()
	for _, to := range []netip.Addr{p.Client4, p.Client6} {
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(to, webPort).String(), 0, p.Client.Name)
		p.ask(t, p.LAN, world.KindUDP, netip.AddrPortFrom(to, dnsPort).String(), 0, p.Client.Name)
	}
}

// What the clients of a proxy that has ended still send is for sockets that are no more. It is dropped, as by the TPROXY of
// iptables.
func TestConnectionsOfAProxyThatEndedDoNotGoOutWithoutIt(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.startProxies()
		p.Apply()
		var open []net.Conn
		for _, to := range []netip.Addr{p.Client4, p.Client6} {
			dialer := net.Dialer{Timeout: askTimeout}
			p.LAN.Do(func() {
				c, err := dialer.DialContext(t.Context(), "tcp", netip.AddrPortFrom(to, webPort).String())
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, c)
			})
			defer open[len(open)-1].Close()
			if _, err := bufio.NewReader(open[len(open)-1]).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		for _, command := range []string{"iptables-nft", "ip6tables-nft"} {
			p.LAN.Run(command, "-A", "INPUT", "-p", "tcp", "--sport", fmt.Sprint(webPort), "-j", "DROP") // the clients do not learn of the end
		}
		wires := p.RecordEgress()
		p.out.close()
		wires.Settle()
		for range 3 { // the first packet ends the socket that the kernel has kept
			for _, c := range open {
				if _, err := c.Write([]byte("more\n")); err != nil {
					t.Fatal(err)
				}
			}
			wires.Settle()
		}
		for _, w := range wires.Wires {
			for _, c := range open {
				port := c.LocalAddr().(*net.TCPAddr).Port
				if n := w.Count(func(q world.Packet) bool {
					return q.DstPort == webPort && int(q.SrcPort) == port && q.Flags.Is(world.PSH)
				}); n > 0 {
					t.Errorf("%d packets of a connection of the proxy went out without it", n)
				}
			}
		}
	})
}

// The rules move from backend to backend while the LAN asks: each connection is answered, by the proxy or, if it is not
// intercepted, without it, and what was open before goes on.
func TestNoConnectionIsLostWhileBackendChanges(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 1}, box.Backends[0], true)
	p.startProxies()
	p.Start()
	p.awaitProxies(t, "out", uplinks.ProxyListening)
	var web, others []netip.AddrPort
	var held []func() error
	for _, to := range []netip.Addr{p.Client4, p.Client6} {
		web, others = append(web, netip.AddrPortFrom(to, webPort)), append(others, netip.AddrPortFrom(to, notIntercepted))
		held = append(held, p.hold(t, netip.AddrPortFrom(to, webPort)), p.hold(t, netip.AddrPortFrom(to, notIntercepted)))
	}
	intercepted, beside := p.startLoad(web...), p.startLoad(others...)
	for _, backend := range []string{box.Nftables, box.Backends[1], box.Nftables, box.Backends[0]} {
		p.Settings[0] = backend
		p.Configure(p.Uplinks...)
		p.Must(0, "reload")
		p.AwaitInSync()
		intercepted.await(t, byProxy+p.Client.Name, 2)
		beside.await(t, p.Client.Name, 2)
		p.askIn(t)
		for i, exchange := range held {
			if err := exchange(); err != nil {
				t.Fatalf("%s: connection %d: %v", backend, i, err)
			}
		}
	}
	for _, r := range intercepted.end() {
		if !r.reply.OK || r.reply.Host != byProxy+p.Client.Name {
			t.Errorf("an intercepted connection: %v", r.reply)
		}
	}
	for _, r := range beside.end() {
		if !r.reply.OK || r.reply.Host != p.Client.Name {
			t.Errorf("a connection that is not intercepted: %v", r.reply)
		}
	}
}
