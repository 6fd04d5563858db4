package test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/world"
	"replypath/uplinks"
)

// The library takes a kernel that prohibits for a broadcast address, and would try again without end.
func TestEchoThatIsProhibitedEndsAtOnce(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a := b.asker()
	for _, f := range uplinks.Families {
		e := asking(path(b.Uplinks[1], f), echo(b.client(f)), lasting)
		a.answered(e)
		rule := []string{"pref", "1", "fwmark", e.Path.Mark.String() + "/" + e.Path.Mask.String(), "prohibit"}
		b.Gateway.Run("ip", append([]string{flag(f), "rule", "add"}, rule...)...)
		e.Times = 20
		before := a.run(asking(path(b.Uplinks[0], f), echo(b.client(f)), lasting)).CPU
		if refused := a.failed(e, "permission denied", "a rule or route prohibits it"); refused.Lost != e.Times || refused.CPU-before > time.Second {
			t.Errorf("%d of %d failed, with %s of the processor", refused.Lost, e.Times, refused.CPU-before)
		}
		b.Gateway.Run("ip", append([]string{flag(f), "rule", "del"}, rule...)...)
		e.Times = 0
		a.answered(e)
	}
	a.end()
}

// flag is how ip(8) is told the family.
func flag(f uplinks.Family) string {
	return map[uplinks.Family]string{uplinks.IPv4: "-4", uplinks.IPv6: "-6"}[f]
}

func TestEchoFindsALinkThatWasMadeAgain(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	for _, missed := range []bool{true, false, true} { // by a question while it was gone
		for _, f := range uplinks.Families {
			a.answered(asking(path(u, f), echo(b.client(f)), lasting))
		}
		a.answered(asking(path(u, uplinks.IPv6), echo(u.RouterLL), lasting))
		u.Link.Delete()
		for _, f := range uplinks.Families {
			if missed {
				a.failed(asking(path(u, f), echo(b.client(f)), lasting), "through eth1: ")
			}
		}
		b.Rewire(u)
		b.apply()
	}
	a.end()
}

// The answers carry the time of their questions as 1970: as if the clock was set while they were under way.
func TestRoundTripIsNotMeasuredByTheClockOnTheWall(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	b.Client.ServeEcho(func(data []byte) []byte {
		clear(data[:8])
		return data
	})
	a := b.asker()
	a.answered(asking(path(b.Uplinks[1], uplinks.IPv4), echo(b.Client4), lasting))
	a.end()
}

func TestWhatIsNoAnswerToTheQuestion(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	service := b.Client.ServeEcho(func(data []byte) []byte {
		clear(data[8:])
		return data
	})
	a, e := b.asker(), asking(path(b.Uplinks[1], uplinks.IPv4), echo(b.Client4), fleeting)
	a.failed(e, "what came is no answer to this question")
	service.Close()
	b.Client.ServeEcho(func(data []byte) []byte { return append(data, 1) })
	a.failed(e, "no answer within 300ms")
	a.end()
}

func TestLostEchoesAreForgotten(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	b.Uplinks[1].ISP.SetSysctl("net.ipv4.ip_forward", "0")
	a, e := b.asker(), asking(path(b.Uplinks[1], uplinks.IPv4), echo(b.Client4), 50*time.Millisecond)
	e.Times = 200
	early := a.run(e)
	var last fate
	for range 20 {
		last = a.run(e)
	}
	if last.Lost != e.Times || last.Heap > early.Heap+4<<20 {
		t.Errorf("%d of %d lost; %d octets in use, %d after the first ones", last.Lost, e.Times, last.Heap, early.Heap)
	}
	a.end()
}

// To the connection table each identifier is a connection, that it remembers for half a minute.
func TestEchoesKeepTheConnectionTableSmall(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a := b.asker()
	for _, f := range uplinks.Families {
		e := asking(path(b.Uplinks[1], f), echo(b.client(f)), lasting)
		e.Times = 5
		for range 20 {
			a.answered(e)
		}
		table := b.Gateway.Run("conntrack", "-L", "-f", strings.ToLower(f.String()), "-d", b.client(f).String())
		if n := strings.Count(table, "dst="+b.client(f).String()); n > 2*e.Times {
			t.Errorf("%d connections for %d questions at a time:\n%s", n, e.Times, table)
		}
	}
	a.end()
}

// The library reaches for the socket by names of private fields in others' code: should they change, nothing but the
// lack of the mark would tell.
func TestEchoWearsItsMark(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.apply()
	a := b.asker()
	for _, f := range uplinks.Families {
		p := path(b.Uplinks[1], f)
		mark := p.Mark.String() + "/" + p.Mask.String()
		proto := map[uplinks.Family]string{uplinks.IPv4: "icmp", uplinks.IPv6: "icmpv6"}[f]
		b.iptables(int(f), "-A", "OUTPUT", "-p", proto, "-d", b.client(f).String(), "-m", "mark", "!", "--mark", mark, "-j", "DROP")
		a.answered(asking(p, echo(b.client(f)), lasting))
		b.iptables(int(f), "-A", "OUTPUT", "-d", b.client(f).String(), "-j", "DROP")
		a.failed(asking(p, echo(b.client(f)), lasting), "operation not permitted", "firewall")
	}
	a.end()
}

func TestEchoWithoutPrivilege(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	cmd := b.Gateway.Command(t.Context(), "/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
	a := startAsker(t, cmd)
	for _, f := range uplinks.Families {
		a.failed(asking(path(b.Uplinks[1], f), echo(b.client(f)), lasting), "operation not permitted", "it needs root", "CAP_NET_RAW")
	}
	a.end()
}
