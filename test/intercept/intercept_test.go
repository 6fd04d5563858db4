package intercept

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// askTimeout bounds a request whose answer is not there yet.
const askTimeout = 20 * time.Second

// Ports of the services and of the proxies.
const (
	webPort, dnsPort  = 80, 5353
	lanPort           = 8080 // of the service in the LAN, behind the proxy for what comes in
	inPort, outPort   = 50080, 50090
	proxyDNSPort      = 50053
	notIntercepted    = 8000
	intercepted4      = "198.18.88.9"
	intercepted6      = "2001:db8:88::9"
	interceptSettings = `[intercept.in]
from = "uplinks"
ports = 80
proxy = 50080
[intercept.in_dns]
from = "uplinks"
protocol = "udp"
ports = 5353
proxy = 50053
[intercept.out]
from = "lan0"
ports = [80, "8088-8090"]
proxy = 50090
[intercept.out_dns]
from = "lan0"
protocol = "udp"
ports = 5353
proxy = 50053
`
)

// proxied is a gateway with transparent proxies for what comes in by the uplinks, and for what its LAN asks the Internet.
type proxied struct {
	*box.Box
	in, out, dns *transparentProxy
}

// newProxied makes the world of a test. The second ISP carries networks of nobody to the gateway, IPv4 from the LAN is
// masqueraded, IPv6 is too with nat66, and otherwise the LAN's network is carried by both ISPs.
func newProxied(t *testing.T, c box.Conditions, backend string, nat66 bool) *proxied {
	t.Helper()
	b := box.New(t, c.Build(t, 2, world.Options{}), backend, interceptSettings)
	for _, network := range []string{"198.18.88.0/24", "2001:db8:88::/64"} {
		b.Delegate(b.Uplinks[1], netip.MustParsePrefix(network))
	}
	for _, u := range b.Uplinks {
		b.Iptables(4, "-t", "nat", "-A", "POSTROUTING", "-o", u.Link.Name, "-s", "198.18.0.0/24", "-j", "MASQUERADE")
		if nat66 {
			b.Iptables(6, "-t", "nat", "-A", "POSTROUTING", "-o", u.Link.Name, "-s", "2001:db8:f::/64", "-j", "MASQUERADE")
		}
	}
	b.LAN.ServeTCP(lanPort)
	b.Client.ServeTCP(webPort)
	b.Client.ServeTCP(notIntercepted)
	b.Client.ServeUDP(dnsPort, world.Pktinfo)
	return &proxied{Box: b}
}

// startProxies starts all proxies.
func (p *proxied) startProxies() {
	p.in = startProxy(p.T, p.Gateway, "tcp", inPort, func(asked netip.AddrPort) netip.AddrPort {
		if asked.Addr().Is4() {
			return netip.AddrPortFrom(p.LAN4, lanPort)
		}
		return netip.AddrPortFrom(p.LAN6, lanPort)
	})
	p.out = startProxy(p.T, p.Gateway, "tcp", outPort, nil)
	p.dns = startProxy(p.T, p.Gateway, "udp", proxyDNSPort, nil)
}

// ask sends a request and wants an answer of the host, whose name begins with byProxy if it comes through a proxy.
func (p *proxied) ask(t *testing.T, from *world.Host, kind world.Kind, to string, size int, host string, peers ...netip.Addr) {
	t.Helper()
	at := netip.MustParseAddrPort(to)
	a := from.Send(world.Request{Kind: kind, To: at, Size: size, Timeout: askTimeout})
	if !a.OK || a.Host != host {
		t.Errorf("%s to %s from %s: %v, want an answer of %s", kind, at, from.Name, a, host)
		return
	}
	for _, peer := range peers {
		if a.Peer.Addr().Unmap() != peer {
			t.Errorf("%s to %s from %s: the server sees %s, want %s", kind, at, from.Name, a.Peer, peer)
		}
	}
}

// askIn asks from the Internet for every address of the uplinks, and for addresses of nobody.
func (p *proxied) askIn(t *testing.T) {
	t.Helper()
	lan := byProxy + p.LAN.Name
	asked := []netip.Addr{netip.MustParseAddr(intercepted4), netip.MustParseAddr(intercepted6)}
	for _, u := range p.Uplinks {
		asked = append(asked, u.Addrs()...)
	}
	for _, a := range asked {
		p.ask(t, p.Client, world.KindTCP, netip.AddrPortFrom(a, webPort).String(), 0, lan, p.ClientAddr(a))
		for _, size := range []int{0, 4000} {
			p.ask(t, p.Client, world.KindUDP, netip.AddrPortFrom(a, dnsPort).String(), size, byProxy+p.Gateway.Name, p.ClientAddr(a))
		}
	}
}

// askOut asks from the LAN by the uplink for services of the Internet.
func (p *proxied) askOut(t *testing.T, by *world.Uplink, nat66 bool) {
	t.Helper()
	client, seen6 := byProxy+p.Client.Name, p.LAN6
	if nat66 {
		seen6 = by.Addr6
	}
	for to, seen := range map[netip.Addr]netip.Addr{p.Client4: by.Addr4, p.Client6: seen6} {
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(to, webPort).String(), 0, client, seen)
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(to, notIntercepted).String(), 0, p.Client.Name, seen)
		for _, size := range []int{0, 4000} {
			p.ask(t, p.LAN, world.KindUDP, netip.AddrPortFrom(to, dnsPort).String(), size, byProxy+p.Gateway.Name)
		}
	}
}

// carryLAN makes the uplink's ISP carry the LAN's IPv6 network.
func (p *proxied) carryLAN(u *world.Uplink) {
	p.Delegate(u, netip.PrefixFrom(p.LAN6, 64).Masked())
}

func TestProxiesAnswerWhatIsIntercepted(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, nat66 := range []bool{false, true} {
			t.Run(fmt.Sprintf("NAT66 %t", nat66), func(t *testing.T) {
				t.Parallel()
				p := newProxied(t, box.Conditions{RPFilter: 1}, backend, nat66)
				p.startProxies()
				p.Apply()
				if !nat66 {
					p.carryLAN(p.Uplinks[0])
				}
				wires := p.RecordEgress()
				p.askIn(t)
				for _, u := range p.Uplinks {
					for _, a := range u.Addrs() {
						if wires.Settle(); wires.Replies(1-u.Index, a) > 0 {
							t.Errorf("answers from %s leave by %s", a, p.Uplinks[1-u.Index].Link.Name)
						}
					}
				}
				p.askOut(t, p.Uplinks[0], nat66)
			})
		}
	})
}

// Main may route what the LAN asks by another uplink than the default one, or have no default route at all.
func TestProxiesConnectByTheUplinkOfMainsRoute(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, c := range []box.Conditions{{RPFilter: 1}, {RPFilter: 1, NoDefault: true}} {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				p := newProxied(t, c, backend, true)
				p.startProxies()
				p.Apply()
				if !c.NoDefault { // without a route the kernel does not look for one for datagrams from addresses of nobody
					p.askIn(t)
				}
				p.RouteToClientBy(p.Uplinks[1])
				p.askOut(t, p.Uplinks[1], true)
				p.askIn(t)
			})
		}
	})
}

// translate translates the destinations of what is intercepted on the uplinks, to the LAN host.
func (p *proxied) translate() {
	for _, u := range p.Uplinks {
		for i, a := range u.Addrs() {
			family, lan := []int{4, 6}[i], []string{p.LAN4.String(), "[" + p.LAN6.String() + "]"}[i]
			p.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-d", a.String(), "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to", fmt.Sprintf("%s:%d", lan, lanPort))
			p.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-d", a.String(), "-p", "udp", "--dport", "5353", "-j", "DNAT", "--to", fmt.Sprintf("%s:%d", lan, lanPort))
		}
	}
}

// newTranslated makes the world of a test in which the destinations of what is intercepted are translated.
func newTranslated(t *testing.T, backend string) *proxied {
	t.Helper()
	p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
	p.translate()
	p.startProxies()
	p.Apply()
	return p
}

// Destination translation comes after interception, and must not lead a part of a connection past the proxy.
func TestTranslatedDestinationsAreIntercepted(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newTranslated(t, backend)
		p.askIn(t)
	})
}

func TestFlushLeavesNothingOfInterception(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		box.LegacyTable(p.Gateway)
		before := box.TakeSnapshot(p.Gateway)
		p.startProxies()
		p.Apply()
		p.Must(0, "flush")
		before.WantSame(t, "flush", p.Gateway)
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(p.Client4, webPort).String(), 0, p.Client.Name)
	})
}

// damage changes rules of the family in the configured backend: by iptables, or by nft(8).
func (p *proxied) damage(family int, byIptables, byNFT string) {
	if slices.Contains(p.Settings, box.Nftables) {
		p.Gateway.Run("nft", byNFT)
		return
	}
	p.Iptables(family, append([]string{"-w", "-t", "mangle"}, strings.Fields(byIptables)...)...)
}

// The service repairs what other programs delete.
func TestInterceptionIsRepaired(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.startProxies()
		p.Start()
		for _, damage := range []func(){
			func() { p.Shell("ip rule del priority 1998", "ip -6 rule del priority 1997") },
			func() { p.Shell("ip route flush table 8200", "ip -6 route flush table 8200") },
			func() { p.damage(4, "-F REPLYPATH-TP", "flush chain inet replypath ip-tp") },
			func() {
				p.damage(6, "-D REPLYPATH-PRE -j REPLYPATH-TP", "flush chain inet replypath ip6-prerouting; add rule inet replypath ip6-prerouting jump ip6-pre")
			},
			func() {
				p.damage(4, "-F REPLYPATH-TP-in", "flush chain inet replypath ip-prerouting; add rule inet replypath ip-prerouting jump ip-tp; add rule inet replypath ip-prerouting jump ip-pre")
			},
		} {
			damage()
			p.AwaitInSync()
			p.ask(t, p.Client, world.KindTCP, netip.AddrPortFrom(p.Uplinks[1].Addr4, webPort).String(), 0, byProxy+p.LAN.Name)
			p.ask(t, p.Client, world.KindTCP, netip.AddrPortFrom(p.Uplinks[1].Addr6, webPort).String(), 0, byProxy+p.LAN.Name)
		}
	})
}
