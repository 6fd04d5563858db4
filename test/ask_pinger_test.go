package test

import (
	"net/netip"
	"testing"

	"replypath/test/world"
	"replypath/uplinks"
)

// A pinger lives from one question to the next, and its socket has the source that it was opened with.
func TestEchoKeepsUpWithItsSource(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{Second: []int{1}}))
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.promote_secondaries", "1")
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	for _, f := range uplinks.Families {
		old, renumbered := path(u, f), path(u, f)
		renumbered.Source = u.Second4
		if f == uplinks.IPv6 {
			renumbered.Source = u.Second6
		}
		a.answered(asking(old, echo(b.client(f)), lasting))
		b.Gateway.Run("ip", "addr", "del", old.Source.String()+map[uplinks.Family]string{uplinks.IPv4: "/24", uplinks.IPv6: "/64"}[f], "dev", u.Link.Name)
		b.apply()
		wire := u.Wire.Record(questions(b.client(f)))
		a.answered(asking(renumbered, echo(b.client(f)), lasting))
		b.Settle()
		if n := wire.Count(func(p world.Packet) bool { return p.Src == renumbered.Source }); n != 1 {
			t.Errorf("%s: %d questions from %s", f, n, renumbered.Source)
		}
		a.failed(asking(old, echo(b.client(f)), fleeting), "through eth1: ")
	}
	a.end()
}

// Of a question to everybody those who answer are others than who was asked: nobody in particular is shown to be there.
func TestEchoToEverybodyIsNotAnswered(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	u.ISP.SetSysctl("net.ipv4.icmp_echo_ignore_broadcasts", "0")
	wire := u.Wire.Record(func(p world.Packet) bool { return p.Dir == world.Out && p.Proto == world.ICMP && p.Src == u.Router4 })
	for _, everybody := range []string{"192.0.2.255", "224.0.0.1"} {
		a.failed(asking(path(u, uplinks.IPv4), echo(netip.MustParseAddr(everybody)), fleeting), "through eth1: no answer within 300ms")
		b.Settle()
		if wire.Count(func(world.Packet) bool { return true }) == 0 {
			t.Errorf("nobody answers %s", everybody)
		}
		wire.Reset()
		a.answered(asking(path(u, uplinks.IPv4), echo(b.Client4), lasting))
	}
	a.end()
}

func TestEchoWhereIPv6IsSwitchedOff(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	a.answered(asking(path(u, uplinks.IPv6), echo(b.Client6), lasting))
	b.Gateway.SetSysctl("net.ipv6.conf.all.disable_ipv6", "1")
	for _, source := range []netip.Addr{u.Addr6, {}} {
		e := asking(path(u, uplinks.IPv6), echo(b.Client6), lasting)
		e.Path.Source = source
		a.failed(e, "through eth1: ")
		a.failed(e, "through eth1: ")
		a.answered(asking(path(u, uplinks.IPv4), echo(b.Client4), lasting))
	}
	a.end()
}

// A pinger stays when its link gets another name.
func TestEchoThroughALinkThatIsRenamed(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	for _, name := range []string{"eth1", "wan1"} {
		if name != u.Link.Name {
			b.Gateway.Run("ip", "link", "set", "dev", u.Link.Name, "name", name)
		}
		for _, f := range uplinks.Families {
			for _, to := range []netip.Addr{b.client(f), path(u, f).Gateway} {
				e := asking(path(u, f), echo(to), lasting)
				e.Path.Link = name
				a.answered(e)
			}
		}
	}
	a.end()
}
