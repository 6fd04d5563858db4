package probes

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// The library takes a kernel that prohibits for a broadcast address, and would try again without end.
func TestProhibitedICMPProbeFailsAtOnce(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a := startProber(b)
	for _, f := range uplinks.Families {
		e := newProbe(probePath(b.Uplinks[1], f), icmpTarget(clientAddrIn(b, f)), replyTimeout)
		a.wantReply(e)
		rule := []string{"pref", "1", "fwmark", e.Path.Mark.String() + "/" + e.Path.Mask.String(), "prohibit"}
		b.Gateway.Run("ip", append([]string{ipFlag(f), "rule", "add"}, rule...)...)
		e.Times = 20
		before := a.probe(newProbe(probePath(b.Uplinks[0], f), icmpTarget(clientAddrIn(b, f)), replyTimeout)).CPU
		if refused := a.wantError(e, "permission denied", "a rule or route prohibits it"); refused.Lost != e.Times || refused.CPU-before > time.Second {
			t.Errorf("%d of %d failed, with %s of the processor", refused.Lost, e.Times, refused.CPU-before)
		}
		b.Gateway.Run("ip", append([]string{ipFlag(f), "rule", "del"}, rule...)...)
		e.Times = 0
		a.wantReply(e)
	}
	a.stop()
}

// ipFlag returns ip(8)'s flag of a family.
func ipFlag(f uplinks.Family) string {
	return map[uplinks.Family]string{uplinks.IPv4: "-4", uplinks.IPv6: "-6"}[f]
}

func TestICMPProbeFindsARecreatedLink(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	for _, missed := range []bool{true, false, true} { // by a request while it was gone
		for _, f := range uplinks.Families {
			a.wantReply(newProbe(probePath(u, f), icmpTarget(clientAddrIn(b, f)), replyTimeout))
		}
		a.wantReply(newProbe(probePath(u, uplinks.IPv6), icmpTarget(u.RouterLL), replyTimeout))
		u.Link.Delete()
		for _, f := range uplinks.Families {
			if missed {
				a.wantError(newProbe(probePath(u, f), icmpTarget(clientAddrIn(b, f)), replyTimeout), "through eth1: ")
			}
		}
		b.Rewire(u)
		b.Apply()
	}
	a.stop()
}

// The answers carry the time of their requests as 1970: as if the clock was set while they were under way.
func TestRoundTripTimeIgnoresTheWallClock(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	b.Client.ServeEcho(func(data []byte) []byte {
		clear(data[:8])
		return data
	})
	a := startProber(b)
	a.wantReply(newProbe(probePath(b.Uplinks[1], uplinks.IPv4), icmpTarget(b.Client4), replyTimeout))
	a.stop()
}

func TestICMPProbeRejectsForeignReplies(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	service := b.Client.ServeEcho(func(data []byte) []byte {
		clear(data[8:])
		return data
	})
	a, e := startProber(b), newProbe(probePath(b.Uplinks[1], uplinks.IPv4), icmpTarget(b.Client4), noReplyTimeout)
	a.wantError(e, "payload is not that of the request")
	service.Close()
	b.Client.ServeEcho(func(data []byte) []byte { return append(data, 1) })
	a.wantError(e, "no reply within 300ms")
	a.stop()
}

func TestLostICMPProbesFreeTheirMemory(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	b.Uplinks[1].ISP.SetSysctl("net.ipv4.ip_forward", "0")
	a, e := startProber(b), newProbe(probePath(b.Uplinks[1], uplinks.IPv4), icmpTarget(b.Client4), 50*time.Millisecond)
	e.Times = 200
	early := a.probe(e)
	var last probeResult
	for range 20 {
		last = a.probe(e)
	}
	if last.Lost != e.Times || last.Heap > early.Heap+4<<20 {
		t.Errorf("%d of %d lost; %d octets in use, %d after the first ones", last.Lost, e.Times, last.Heap, early.Heap)
	}
	a.stop()
}

// To the connection table each identifier is a connection, that it remembers for half a minute.
func TestICMPProbesKeepConntrackSmall(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a := startProber(b)
	for _, f := range uplinks.Families {
		e := newProbe(probePath(b.Uplinks[1], f), icmpTarget(clientAddrIn(b, f)), replyTimeout)
		e.Times = 5
		for range 20 {
			a.wantReply(e)
		}
		table := b.Gateway.Run("conntrack", "-L", "-f", strings.ToLower(f.String()), "-d", clientAddrIn(b, f).String())
		if n := strings.Count(table, "dst="+clientAddrIn(b, f).String()); n > 2*e.Times {
			t.Errorf("%d connections for %d questions at a time:\n%s", n, e.Times, table)
		}
	}
	a.stop()
}

// The library reaches for the socket by names of private fields in others' code: should they change, only the missing
// mark would show it.
func TestICMPProbeCarriesItsMark(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a := startProber(b)
	for _, f := range uplinks.Families {
		p := probePath(b.Uplinks[1], f)
		mark := p.Mark.String() + "/" + p.Mask.String()
		proto := map[uplinks.Family]string{uplinks.IPv4: "icmp", uplinks.IPv6: "icmpv6"}[f]
		b.Iptables(int(f), "-A", "OUTPUT", "-p", proto, "-d", clientAddrIn(b, f).String(), "-m", "mark", "!", "--mark", mark, "-j", "DROP")
		a.wantReply(newProbe(p, icmpTarget(clientAddrIn(b, f)), replyTimeout))
		b.Iptables(int(f), "-A", "OUTPUT", "-d", clientAddrIn(b, f).String(), "-j", "DROP")
		a.wantError(newProbe(p, icmpTarget(clientAddrIn(b, f)), replyTimeout), "operation not permitted", "firewall")
	}
	a.stop()
}

func TestProbesWithoutPrivilegeFail(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	cmd := b.Gateway.Command(t.Context(), "/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: box.NobodyUID, Gid: box.NobodyUID, NoSetGroups: true}
	a := startProberCommand(t, cmd)
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(b.Uplinks[1], f), icmpTarget(clientAddrIn(b, f)), replyTimeout), "operation not permitted", "it needs root", "CAP_NET_RAW")
	}
	a.stop()
}
