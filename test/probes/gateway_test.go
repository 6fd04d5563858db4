package probes

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

var gatewayTarget = health.Target{Kind: health.Gateway}

// neighbours returns what the gateway knows of its neighbours' hardware.
func neighbours(b *box.Box) string {
	b.T.Helper()
	return b.Gateway.Run("ip", "neigh", "show")
}

// neighbourAddrs returns the neighbours with their hardware addresses, without the state of the entries.
func neighbourAddrs(b *box.Box) string {
	b.T.Helper()
	return regexp.MustCompile(" [A-Z]+ *\n").ReplaceAllString(neighbours(b), "\n")
}

func TestGatewayProbeStaysOnItsLink(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	b.Gateway.Run("ip", "neigh", "flush", "all")
	p, a := b.RecordEgress(), startProber(b)
	for _, f := range uplinks.Families {
		for _, u := range b.Uplinks {
			a.wantReply(newProbe(probePath(u, f), gatewayTarget, replyTimeout))
			p.Settle()
			for i, wire := range p.Wires {
				requested := wire.Count(func(p world.Packet) bool {
					return p.Dir == world.In && (p.EtherType == arpType || p.Proto == world.ICMPv6 && p.ICMPType == 135)
				})
				// The second request is the kernel's, which does not know the gateway yet.
				if wanted := map[bool]int{true: 2}[i == u.Index]; requested != wanted {
					t.Errorf("%s probe by %s: %d requests on eth%d", f, u.Link.Name, requested, i)
				}
				wire.Reset()
			}
		}
	}
	for line := range strings.Lines(neighbours(b)) {
		if !slices.ContainsFunc(b.Uplinks, func(u *world.Uplink) bool {
			return strings.HasPrefix(line, u.Router4.String()+" ") || strings.HasPrefix(line, u.RouterLL.String()+" ")
		}) {
			t.Errorf("the kernel has got to know a neighbour that is no gateway: %s", line)
		}
	}
	a.stop()
}

// arpType is Ethernet's number for ARP.
const arpType = 0x0806

func TestGatewayProbeOfADeadGatewayFails(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	for _, f := range uplinks.Families {
		a.wantReply(newProbe(probePath(b.Uplinks[0], f), gatewayTarget, replyTimeout)) // the kernel gets to know it
	}
	b.Gateway.Run("ip", "neigh", "replace", u.Router4.String(), "lladdr", "02:00:00:00:77:77", "dev", "eth1", "nud", "permanent")
	before := neighbourAddrs(b)
	u.Wire.Down()
	u.Wire.Host.Run("ip", "link", "set", "port0", "arp", "off")
	u.Wire.Host.Run("ip", "link", "set", "port0", "address", "02:00:00:00:66:66")
	u.Wire.Host.SetSysctl("net.ipv6.conf.port0.disable_ipv6", "1")
	u.Wire.Up()
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(u, f), gatewayTarget, noReplyTimeout), "probe the gateway", "on eth1", "no reply within 300ms")
		a.wantReply(newProbe(probePath(b.Uplinks[0], f), gatewayTarget, replyTimeout))
	}
	if after := neighbourAddrs(b); after != before {
		t.Errorf("neighbours before:\n%safter:\n%s", before, after)
	}
	u.Wire.Down()
	a.wantError(newProbe(probePath(u, uplinks.IPv4), gatewayTarget, noReplyTimeout), "on eth1")
	u.Link.Down()
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(u, f), gatewayTarget, replyTimeout), "eth1 is down")
	}
	u.Link.Delete()
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(u, f), gatewayTarget, replyTimeout), "eth1 has disappeared")
	}
	a.stop()
}

// An address without a network around it, IPv4 by way of an IPv6 gateway (RFC 5549), and a gateway that has a global
// IPv6 address.
func TestGatewayProbeAcceptsEveryAddressForm(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	mixed, global := probePath(u, uplinks.IPv4), probePath(u, uplinks.IPv6)
	mixed.Gateway, global.Gateway = u.RouterLL, u.Router6
	a.wantReply(newProbe(mixed, gatewayTarget, replyTimeout))
	a.wantReply(newProbe(global, gatewayTarget, replyTimeout))
	b.Gateway.Run("ip", "addr", "del", netip.PrefixFrom(u.Addr4, 24).String(), "dev", "eth1")
	b.Gateway.Run("ip", "addr", "add", netip.PrefixFrom(u.Addr4, 32).String(), "dev", "eth1")
	b.Gateway.Run("ip", "-6", "addr", "del", netip.PrefixFrom(u.Addr6, 64).String(), "dev", "eth1")
	b.Gateway.Run("ip", "-6", "addr", "add", netip.PrefixFrom(u.Addr6, 128).String(), "dev", "eth1")
	for _, f := range uplinks.Families {
		a.wantReply(newProbe(probePath(u, f), gatewayTarget, replyTimeout))
	}
	a.stop()
}

func TestGatewayProbeWithoutAGatewayFails(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	lonely := b.Gateway.AddLink("lonely0", "bridge")
	a := startProber(b)
	for _, f := range uplinks.Families {
		p := probePath(b.Uplinks[1], f)
		p.Gateway = netip.Addr{}
		a.wantError(newProbe(p, gatewayTarget, replyTimeout), "no "+f.String()+" gateway of eth1 is known")
		p.OnLink = true
		a.wantError(newProbe(p, gatewayTarget, replyTimeout), "point-to-point", "configure a probe with a target")
		p.Index = 0
		a.wantError(newProbe(p, gatewayTarget, replyTimeout), "the interface eth1 does not exist")
	}
	silent := probePath(b.Uplinks[1], uplinks.IPv4)
	silent.Link, silent.Index = lonely.Name, lonely.Index
	a.wantError(newProbe(silent, gatewayTarget, noReplyTimeout), "no reply within 300ms")
	silent.Link, silent.Index = "lo", b.Gateway.Link("lo").Index
	a.wantError(newProbe(silent, gatewayTarget, replyTimeout), "no Ethernet address")
	a.stop()
}

// Neither a reply to another host nor a reply of the gateway's neighbour counts.
func TestGatewayProbeIgnoresOtherHosts(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{Neighbours: []int{1}}))
	a, u := startProber(b), b.Uplinks[1]
	u.Wire.Host.Run("ip", "addr", "flush", "dev", "net0")
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(u, f), gatewayTarget, 2*time.Second), "no reply within 2s")
	}
	a.stop()
}

// TestGatewayProbeReportsWhatItStepsOver makes the gateway reply to the probe, and no other packet reach it.
func TestGatewayProbeReportsWhatItStepsOver(t *testing.T) {
	for name, c := range map[string]struct {
		plant, cure string // for sh
		families    []uplinks.Family
		want        string // words of the error
	}{
		"a permanent wrong entry, IPv4": {"ip neigh replace 192.0.2.1 lladdr 02:00:00:00:77:77 dev eth1 nud permanent", "ip neigh del 192.0.2.1 dev eth1", []uplinks.Family{uplinks.IPv4}, "ip neigh del 192.0.2.1 dev eth1"},
		"a permanent wrong entry, IPv6": {"ip neigh replace fe80::1 lladdr 02:00:00:00:77:77 dev eth1 nud permanent", "ip neigh del fe80::1 dev eth1", []uplinks.Family{uplinks.IPv6}, "permanent neighbour entry has 02:00:00:00:77:77"},
		"ARP is off":                    {"ip link set eth1 arp off", "ip link set eth1 arp on", uplinks.Families[:], "ip link set dev eth1 arp on"},
		"the kernel does not get the replies": {"nft add table arp t; nft 'add chain arp t i { type filter hook input priority 0; policy drop; }'; ip -4 neigh flush dev eth1", "nft delete table arp t",
			[]uplinks.Family{uplinks.IPv4}, "the kernel cannot resolve it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
			b.Apply()
			a, u := startProber(b), b.Uplinks[1]
			for _, f := range uplinks.Families {
				a.wantReply(newProbe(probePath(u, f), gatewayTarget, replyTimeout))
			}
			b.Shell(c.plant)
			for _, f := range uplinks.Families {
				p := newProbe(probePath(u, f), gatewayTarget, replyTimeout)
				if !slices.Contains(c.families, f) {
					a.wantReply(p)
					continue
				}
				box.Eventually(t, box.EventualTimeout, "the probe reports it", func() bool { return strings.Contains(a.probe(p).Err, c.want) })
			}
			b.Shell(c.cure)
			for _, f := range c.families {
				p := newProbe(probePath(u, f), gatewayTarget, replyTimeout)
				box.Eventually(t, box.EventualTimeout, "the probe succeeds again", func() bool { return a.probe(p).Err == "" })
			}
			for _, f := range uplinks.Families {
				a.wantReply(newProbe(probePath(b.Uplinks[0], f), gatewayTarget, replyTimeout))
			}
			a.stop()
		})
	}
}
