package probes

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

func icmpTarget(to netip.Addr) health.Target {
	return health.Target{Kind: health.ICMP, Host: to.String()}
}

// requestsTo returns packets that go from the gateway to this address.
func requestsTo(to netip.Addr) func(world.Packet) bool {
	return func(p world.Packet) bool { return p.Dir == world.In && p.To(to) }
}

// wantLeftBy wants requests by this uplink alone.
func wantLeftBy(t *testing.T, p *box.Egress, u *world.Uplink, to netip.Addr) {
	t.Helper()
	for i, wire := range p.Wires {
		if n := wire.Count(requestsTo(to)); (n > 0) != (i == u.Index) {
			t.Errorf("%d questions to %s left by eth%d, not by %s alone", n, to, i, u.Link.Name)
		}
	}
}

func TestICMPProbeLeavesByItsUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			b.Apply()
			p, a := b.RecordEgress(), startProber(b)
			for _, f := range uplinks.Families {
				for _, u := range b.Uplinks {
					a.wantReply(newProbe(probePath(u, f), icmpTarget(clientAddrIn(b, f)), replyTimeout))
					p.Settle()
					wantLeftBy(t, p, u, clientAddrIn(b, f))
					p.Begin()
				}
			}
			a.stop()
		})
	})
}

func TestICMPProbeOfADeadUplinkTimesOut(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	b.Uplinks[1].ISP.SetSysctl("net.ipv4.ip_forward", "0")
	b.Uplinks[1].ISP.SetSysctl("net.ipv6.conf.all.forwarding", "0")
	a := startProber(b)
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(b.Uplinks[1], f), icmpTarget(clientAddrIn(b, f)), noReplyTimeout), "no reply within 300ms")
		a.wantReply(newProbe(probePath(b.Uplinks[0], f), icmpTarget(clientAddrIn(b, f)), replyTimeout))
	}
	a.stop()
}

// routeRepliesByFirst makes the client's answers to the second uplink come back by the first one.
func routeRepliesByFirst(b *box.Box) {
	b.T.Helper()
	for _, addr := range b.Uplinks[1].Addrs() {
		b.Delegate(b.Uplinks[0], netip.PrefixFrom(addr, addr.BitLen()))
	}
}

func TestICMPProbeAnsweredByAnotherUplinkFails(t *testing.T) {
	t.Parallel()
	for _, rp := range []int{0, 2} {
		t.Run(fmt.Sprintf("rp_filter %d", rp), func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: rp}.Build(t, 2, world.Options{}))
			routeRepliesByFirst(b)
			b.Apply()
			a := startProber(b)
			for _, f := range uplinks.Families {
				a.wantError(newProbe(probePath(b.Uplinks[1], f), icmpTarget(clientAddrIn(b, f)), replyTimeout), "arrived on eth0, not on eth1")
				a.wantReply(newProbe(probePath(b.Uplinks[0], f), icmpTarget(clientAddrIn(b, f)), replyTimeout))
			}
			a.stop()
		})
	}
}

// What the host answers itself has left by no uplink.
func TestICMPProbeAnsweredByTheHostItselfFails(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 0}.Build(t, 2, world.Options{}))
	b.Apply()
	a := startProber(b)
	for _, f := range uplinks.Families {
		for _, u := range b.Uplinks {
			own := u.Addr4
			if f == uplinks.IPv6 {
				own = u.Addr6
			}
			a.wantError(newProbe(probePath(b.Uplinks[1], f), icmpTarget(own), noReplyTimeout), "through eth1: ", "arrived on lo", "an address of this host")
		}
		a.wantReply(newProbe(probePath(b.Uplinks[1], f), icmpTarget(clientAddrIn(b, f)), replyTimeout))
	}
	a.stop()
}
