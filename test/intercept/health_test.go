package intercept

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// awaitProxies waits until the service reports a state of all proxies of an intercept.
func (p *proxied) awaitProxies(t *testing.T, intercept string, want uplinks.ProxyState) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, intercept+" is "+string(want), func() bool {
		n := 0
		for _, s := range p.ServiceStatus().Proxies {
			if s.Intercept == intercept && s.State == want {
				n++
			}
		}
		return n == 2
	})
	p.AwaitInSync()
}

// hold opens a connection from the LAN to a service that echoes, and returns a function that exchanges a line on it.
func (p *proxied) hold(t *testing.T, to netip.AddrPort) (exchange func() error) {
	t.Helper()
	dialer := net.Dialer{Timeout: askTimeout}
	var c net.Conn
	var err error
	p.LAN.Do(func() { c, err = dialer.DialContext(t.Context(), "tcp", to.String()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := bufio.NewReader(c)
	exchange = func() error {
		if err := c.SetDeadline(time.Now().Add(askTimeout)); err != nil {
			return err
		}
		if _, err := io.WriteString(c, "again\n"); err != nil {
			return err
		}
		_, err := r.ReadString('\n')
		return err
	}
	for range 2 { // the service's greeting, and its first echo
		if err := exchange(); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
	}
	return exchange
}

func TestProxyThatEndsIsPassedByAndTakenIntoUseAgain(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.startProxies()
		p.Start()
		web := []string{netip.AddrPortFrom(p.Client4, webPort).String(), netip.AddrPortFrom(p.Client6, webPort).String()}
		ask := func(host string) {
			t.Helper()
			for _, to := range web {
				p.ask(t, p.LAN, world.KindTCP, to, 0, host)
			}
		}
		ask(byProxy + p.Client.Name)
		p.out.close()
		p.dns.close()
		p.awaitProxies(t, "out", uplinks.ProxyNobody)
		p.awaitProxies(t, "out_dns", uplinks.ProxyNobody)
		ask(p.Client.Name)
		p.ask(t, p.LAN, world.KindUDP, netip.AddrPortFrom(p.Client4, dnsPort).String(), 0, p.Client.Name)
		p.ask(t, p.Client, world.KindTCP, netip.AddrPortFrom(p.Uplinks[1].Addr4, webPort).String(), 0, byProxy+p.LAN.Name)
		var direct []func() error
		for _, to := range web {
			direct = append(direct, p.hold(t, netip.MustParseAddrPort(to)))
		}
		p.out = startProxy(t, p.Gateway, "tcp", outPort, nil)
		p.awaitProxies(t, "out", uplinks.ProxyListening)
		ask(byProxy + p.Client.Name)
		for i, exchange := range direct {
			if err := exchange(); err != nil {
				t.Errorf("the connection to %s that began without the proxy is lost: %v", web[i], err)
			}
		}
		if output := p.Run("status").Stdout; !strings.Contains(output, "out_dns: no program listens on udp 50053 in IPv6: new connections pass") {
			t.Errorf("status prints\n%s", output)
		}
	})
}

// A proxy that listens in one family takes the connections of that family, and the others pass by.
func TestProxyOfOneFamilyIsPassedByInTheOther(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Start()
		to := map[netip.Addr]string{netip.IPv4Unspecified(): netip.AddrPortFrom(p.Client4, webPort).String(), netip.IPv6Unspecified(): netip.AddrPortFrom(p.Client6, webPort).String()}
		for at := range to {
			proxy := startProxyAt(t, p.Gateway, "tcp", outPort, nil, at)
			box.Eventually(t, box.EventualTimeout, "one family has a proxy", func() bool {
				n := map[bool]int{}
				for _, s := range p.ServiceStatus().Proxies {
					if s.Intercept == "out" {
						n[s.State == uplinks.ProxyListening]++
					}
				}
				return n[true] == 1 && n[false] == 1
			})
			p.AwaitInSync()
			for family, server := range to {
				p.ask(t, p.LAN, world.KindTCP, server, 0, map[bool]string{true: byProxy}[family == at]+p.Client.Name)
			}
			p.Verify().WantOK(t, 2)
			proxy.close()
			p.awaitProxies(t, "out", uplinks.ProxyNobody)
		}
	})
}

// The states of proxies are in the events, with which the programs of on_change run, and in the metrics.
func TestStatesOfProxiesAreEventsAndMetrics(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 1}, box.Backends[0], true)
	recorded := filepath.Join(p.Dir, "events")
	hook := filepath.Join(p.Dir, "hook")
	world.WriteProgram(t, hook, []byte("#!/bin/sh\ncat >> "+recorded+"\n"), 0o700)
	p.Settings = append([]string{fmt.Sprintf("on_change = [%q]", hook)}, p.Settings...)
	p.Configure(p.Uplinks...)
	p.startProxies()
	p.Start()
	p.awaitProxies(t, "out", uplinks.ProxyListening)
	p.out.close()
	p.awaitProxies(t, "out", uplinks.ProxyNobody)
	series := func(family string) string {
		return fmt.Sprintf(`replypath_proxy_listening{family=%q,intercept="out",protocol="tcp",proxy="50090"} 0`, family)
	}
	_, metrics := box.Get(t, box.TransportFrom(p.Gateway), "http://127.0.0.1:9717/metrics")
	for _, family := range []string{"ipv4", "ipv6"} {
		if !strings.Contains(metrics, series(family)) {
			t.Errorf("no series %s", series(family))
		}
		box.Eventually(t, box.EventualTimeout, "an event of "+family, func() bool {
			text, err := os.ReadFile(recorded)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				var e health.Event
				if json.Unmarshal([]byte(line), &e) == nil && e.Kind == "proxy" && e.Family == family && e.From == "listening" && e.To == "nobody" && strings.HasPrefix(e.Text, "intercept out: no program listens on tcp 50090") {
					return true
				}
			}
			return false
		})
	}
}

// A proxy that stops listening may serve its connections to their end.
func TestConnectionsStayWithAProxyThatStopsListening(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.startProxies()
		p.Start()
		var held []func() error
		for _, to := range []netip.Addr{p.Client4, p.Client6} {
			held = append(held, p.hold(t, netip.AddrPortFrom(to, webPort)))
		}
		p.out.stopListening()
		p.awaitProxies(t, "out", uplinks.ProxyNobody)
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(p.Client4, webPort).String(), 0, p.Client.Name)
		for _, exchange := range held {
			if err := exchange(); err != nil {
				t.Error(err)
			}
		}
	})
}

// newDropping makes the world of a test in which new connections from the LAN are dropped while no proxy listens.
func newDropping(t *testing.T, backend string) *proxied {
	t.Helper()
	p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
	p.Settings[1] = strings.NewReplacer("[intercept.out]", "[intercept.out]\nwithout = \"drop\"", "[intercept.out_dns]", "[intercept.out_dns]\nwithout = \"drop\"").Replace(interceptSettings)
	p.Configure(p.Uplinks...)
	return p
}

func TestWithoutDropLetsNothingOut(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newDropping(t, backend)
		p.Start()
		p.awaitProxies(t, "out", uplinks.ProxyNobody)
		for _, to := range []netip.Addr{p.Client4, p.Client6} {
			refused := p.LAN.Send(world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(to, webPort), Timeout: 2 * time.Second})
			if refused.OK {
				t.Errorf("a connection to %s is not dropped: %s", to, refused)
			}
			p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(to, notIntercepted).String(), 0, p.Client.Name)
		}
		p.out = startProxy(t, p.Gateway, "tcp", outPort, nil)
		p.awaitProxies(t, "out", uplinks.ProxyListening)
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(p.Client4, webPort).String(), 0, byProxy+p.Client.Name)
	})
}

// A socket without IP_TRANSPARENT gets nothing from the kernel.
func TestSocketThatIsNotTransparentIsNamed(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 1}, box.Backends[0], true)
	p.Gateway.ServeTCP(outPort)
	p.Start()
	p.awaitProxies(t, "out", uplinks.ProxyNotTransparent)
	p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(p.Client4, webPort).String(), 0, p.Client.Name)
	if output := p.Run("plan").String(); !strings.Contains(output, "lacks IP_TRANSPARENT") {
		t.Errorf("plan prints\n%s", output)
	}
}

// A proxy that its clients address, and that connects with their addresses, needs the way back alone.
func TestReturnAloneBringsAnswersToTheProxy(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings[1] = "[intercept]"
		p.Configure(p.Uplinks...)
		p.startProxies()
		p.Apply()
		at := netip.AddrPortFrom(p.Uplinks[1].Addr4, inPort)
		if a := p.Client.Send(world.Request{Kind: world.KindTCP, To: at, Timeout: 2 * time.Second}); a.OK {
			t.Fatalf("the proxy works without its way back: the test proves nothing: %s", a)
		}
		p.Settings[1] = "[intercept]\nreturn = true"
		p.Configure(p.Uplinks...)
		p.Apply()
		for _, u := range p.Uplinks {
			for _, a := range u.Addrs() {
				p.ask(t, p.Client, world.KindTCP, netip.AddrPortFrom(a, inPort).String(), 0, byProxy+p.LAN.Name, p.ClientAddr(a))
			}
		}
	})
}
