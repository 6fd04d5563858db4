package intercept

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// outboundBySecond sends what begins on the host, or behind it, by the second uplink, though main's default route is by the first.
const outboundBySecond = `[outbound]
default = "isp1"
masquerade = "both"
`

// What a gateway may have together.
func TestProxiesAnswerUnderEveryCondition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		noDefault, translated, nat66 bool
		outbound                     string
	}{
		"outbound, without default route":                               {noDefault: true, nat66: true, outbound: outboundBySecond},
		"outbound, translated":                                          {translated: true, nat66: true, outbound: outboundBySecond},
		"outbound, IPv6 without NAT":                                    {outbound: strings.Replace(outboundBySecond, "both", "ipv4", 1)},
		"translated, IPv6 without NAT":                                  {translated: true},
		"outbound, translated, without default route, IPv6 without NAT": {noDefault: true, translated: true, outbound: strings.Replace(outboundBySecond, "both", "ipv4", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box.EachFirewall(t, func(t *testing.T, backend string) {
				t.Parallel()
				p := newProxied(t, box.Conditions{RPFilter: 1, NoDefault: c.noDefault}, backend, c.nat66)
				p.Settings = append(p.Settings, c.outbound)
				p.Configure(p.Uplinks...)
				by := p.Uplinks[0]
				if c.outbound != "" {
					by = p.Uplinks[1]
				}
				if c.translated {
					p.translate()
				}
				p.startProxies()
				p.Apply()
				if !c.nat66 {
					p.carryLAN(by)
				}
				p.askIn(t)
				p.askOut(t, by, c.nat66)
			})
		})
	}
}

// The policy of outbound connections is that of the proxy's own connections too, which have the address of its client.
func TestProxiesConnectByTheUplinkOfThePolicy(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings = append(p.Settings, outboundBySecond)
		p.Configure(p.Uplinks...)
		p.startProxies()
		p.Apply()
		p.askIn(t)
		p.askOut(t, p.Uplinks[1], true)
		p.Settings[2] = ""
		p.Configure(p.Uplinks...)
		p.Apply()
		p.askIn(t)
		p.askOut(t, p.Uplinks[0], true)
	})
}

// Interception that is put in, or taken out, while there is traffic concerns new connections alone.
func TestInterceptionBeginsWithNewConnections(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, outbound := range map[string]string{"main": "", "outbound": outboundBySecond} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
				by := p.Uplinks[0]
				if outbound != "" {
					by = p.Uplinks[1]
				}
				p.Settings = append(p.Settings, outbound)
				p.Settings[1] = ""
				p.Configure(p.Uplinks...)
				p.Start()
				web := []netip.AddrPort{netip.AddrPortFrom(p.Client4, webPort), netip.AddrPortFrom(p.Client6, webPort)}
				holdAll := func() (held []func() error) {
					for _, to := range web {
						held = append(held, p.hold(t, to))
					}
					return held
				}
				goOn := func(held []func() error, when string) {
					t.Helper()
					for i, exchange := range held {
						if err := exchange(); err != nil {
							t.Errorf("%s: %s: %v", when, web[i], err)
						}
					}
				}
				direct := holdAll()
				p.ask(t, p.LAN, world.KindTCP, web[0].String(), 0, p.Client.Name)
				p.startProxies()
				p.Settings[1] = interceptSettings
				p.Configure(p.Uplinks...)
				p.Must(0, "reload")
				p.AwaitInSync()
				goOn(direct, "direct, with interception")
				p.askIn(t)
				p.askOut(t, by, true)
				goOn(direct, "direct, after others were intercepted")
				p.Settings[1] = "[intercept]\nreturn = true\n"
				p.Configure(p.Uplinks...)
				p.Must(0, "reload")
				p.AwaitInSync()
				goOn(direct, "direct, without interception again")
				p.ask(t, p.LAN, world.KindTCP, web[0].String(), 0, p.Client.Name)
			})
		}
	})
}

// A proxy answers datagrams from addresses of nobody by sockets without a mark: main need not have a route to the client.
func TestProxyOfUDPAnswersWithoutDefaultRoute(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1, NoDefault: true}, backend, true)
		p.Settings[1] += farDNS
		p.Configure(p.Uplinks...)
		p.startProxies()
		p.Apply()
		wires := p.RecordEgress()
		for _, a := range []string{intercepted4, intercepted6} {
			to := netip.AddrPortFrom(netip.MustParseAddr(a), 53)
			for _, size := range []int{0, 4000} {
				p.ask(t, p.Client, world.KindUDP, to.String(), size, byProxy+p.Gateway.Name, p.ClientAddr(to.Addr()))
			}
			if wires.Settle(); wires.Replies(0, to.Addr()) > 0 {
				t.Errorf("answers from %s leave by the first uplink", a)
			}
		}
		v := p.Verify()
		v.WantOK(t, 2)
		p.Must(0, "flush")
	})
}
