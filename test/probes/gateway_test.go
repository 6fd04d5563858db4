package probes

import (
	"net/netip"
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
				if (requested == 1) != (i == u.Index) {
					t.Errorf("%s probe by %s: %d requests on eth%d", f, u.Link.Name, requested, i)
				}
				wire.Reset()
			}
		}
	}
	if known := neighbours(b); known != "" {
		t.Errorf("the kernel has got to know neighbours:\n%s", known)
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
	b.Gateway.Run("ip", "neigh", "replace", u.Router4.String(), "lladdr", "02:00:00:00:77:77", "dev", "eth1", "nud", "permanent")
	before := neighbours(b)
	u.Wire.Down()
	u.Wire.Host.Run("ip", "link", "set", "port0", "arp", "off")
	u.Wire.Host.Run("ip", "link", "set", "port0", "address", "02:00:00:00:66:66")
	u.Wire.Host.SetSysctl("net.ipv6.conf.port0.disable_ipv6", "1")
	u.Wire.Up()
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(u, f), gatewayTarget, noReplyTimeout), "probe the gateway", "on eth1", "no reply within 300ms")
		a.wantReply(newProbe(probePath(b.Uplinks[0], f), gatewayTarget, replyTimeout))
	}
	if after := neighbours(b); after != before {
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
