package test

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/test/world"
	"replypath/uplinks"
)

func echo(to netip.Addr) health.Target { return health.Target{Kind: health.ICMP, Host: to.String()} }

// questions are packets that go from the gateway to this address.
func questions(to netip.Addr) func(world.Packet) bool {
	return func(p world.Packet) bool { return p.Dir == world.In && p.To(to) }
}

// leftBy wants questions by this uplink alone.
func (p *proof) leftBy(t *testing.T, u *world.Uplink, to netip.Addr) {
	t.Helper()
	for i, wire := range p.wires {
		if n := wire.Count(questions(to)); (n > 0) != (i == u.Index) {
			t.Errorf("%d questions to %s left by eth%d, not by %s alone", n, to, i, u.Link.Name)
		}
	}
}

func TestEchoLeavesByItsUplink(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			b.apply()
			p, a := b.watch(), b.asker()
			for _, f := range uplinks.Families {
				for _, u := range b.Uplinks {
					a.answered(asking(path(u, f), echo(b.client(f)), lasting))
					reset := p.settled()
					p.leftBy(t, u, b.client(f))
					reset()
				}
			}
			a.end()
		})
	})
}

func TestEchoOfADeadUplinkIsLost(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	b.Uplinks[1].ISP.SetSysctl("net.ipv4.ip_forward", "0")
	b.Uplinks[1].ISP.SetSysctl("net.ipv6.conf.all.forwarding", "0")
	a := b.asker()
	for _, f := range uplinks.Families {
		a.failed(asking(path(b.Uplinks[1], f), echo(b.client(f)), fleeting), "no answer within 300ms")
		a.answered(asking(path(b.Uplinks[0], f), echo(b.client(f)), lasting))
	}
	a.end()
}

// detour makes the client's answers to the second uplink come back by the first one.
func (b *box) detour() {
	b.t.Helper()
	for _, addr := range b.Uplinks[1].Addrs() {
		b.Delegate(b.Uplinks[0], netip.PrefixFrom(addr, addr.BitLen()))
	}
}

func TestEchoAnsweredByAnotherUplinkIsAFailure(t *testing.T) {
	for _, rp := range []int{0, 2} {
		t.Run(fmt.Sprintf("rp_filter %d", rp), func(t *testing.T) {
			b := newBox(t, conditions{rpFilter: rp}.build(t, 2, world.Options{}))
			b.detour()
			b.apply()
			a := b.asker()
			for _, f := range uplinks.Families {
				a.failed(asking(path(b.Uplinks[1], f), echo(b.client(f)), lasting), "came in by eth0, not eth1")
				a.answered(asking(path(b.Uplinks[0], f), echo(b.client(f)), lasting))
			}
			a.end()
		})
	}
}

// What the host answers itself has left by no uplink.
func TestEchoAnsweredByTheHostItselfIsAFailure(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 0}.build(t, 2, world.Options{}))
	b.apply()
	a := b.asker()
	for _, f := range uplinks.Families {
		for _, u := range b.Uplinks {
			own := u.Addr4
			if f == uplinks.IPv6 {
				own = u.Addr6
			}
			a.failed(asking(path(b.Uplinks[1], f), echo(own), fleeting), "through eth1: ", "came in by no link", "an address of this host?")
		}
		a.answered(asking(path(b.Uplinks[1], f), echo(b.client(f)), lasting))
	}
	a.end()
}
