package probes

import (
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// A socket is kept from one probe to the next, with the source that it was opened with.
func TestICMPProbeFollowsASourceAddressChange(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{SecondAddr: []int{1}}))
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.promote_secondaries", "1")
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	for _, f := range uplinks.Families {
		old, renumbered := probePath(u, f), probePath(u, f)
		renumbered.Source = u.Second4
		if f == uplinks.IPv6 {
			renumbered.Source = u.Second6
		}
		a.wantReply(newProbe(old, icmpTarget(clientAddrIn(b, f)), replyTimeout))
		b.Gateway.Run("ip", "addr", "del", old.Source.String()+map[uplinks.Family]string{uplinks.IPv4: "/24", uplinks.IPv6: "/64"}[f], "dev", u.Link.Name)
		b.Apply()
		wire := u.Wire.Record(requestsTo(clientAddrIn(b, f)))
		a.wantReply(newProbe(renumbered, icmpTarget(clientAddrIn(b, f)), replyTimeout))
		b.Settle()
		if n := wire.Count(func(p world.Packet) bool { return p.Src == renumbered.Source }); n != 1 {
			t.Errorf("%s: %d questions from %s", f, n, renumbered.Source)
		}
		a.wantError(newProbe(old, icmpTarget(clientAddrIn(b, f)), noReplyTimeout), "through eth1: ")
	}
	a.stop()
}

// Replies to a broadcast come from other addresses than the target: they do not show that any one host is alive.
func TestICMPProbeOfABroadcastAddressFails(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	u.ISP.SetSysctl("net.ipv4.icmp_echo_ignore_broadcasts", "0")
	wire := u.Wire.Record(func(p world.Packet) bool { return p.Dir == world.Out && p.Proto == world.ICMP && p.Src == u.Router4 })
	for _, group := range []string{"192.0.2.255", "224.0.0.1"} {
		a.wantError(newProbe(probePath(u, uplinks.IPv4), icmpTarget(netip.MustParseAddr(group)), noReplyTimeout), "through eth1: no reply within 300ms")
		b.Settle()
		if wire.Count(func(world.Packet) bool { return true }) == 0 {
			t.Errorf("no host replies to %s", group)
		}
		wire.Reset()
		a.wantReply(newProbe(probePath(u, uplinks.IPv4), icmpTarget(b.Client4), replyTimeout))
	}
	a.stop()
}

func TestICMPProbeFailsWhereIPv6IsDisabled(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	a.wantReply(newProbe(probePath(u, uplinks.IPv6), icmpTarget(b.Client6), replyTimeout))
	b.Gateway.SetSysctl("net.ipv6.conf.all.disable_ipv6", "1")
	for _, source := range []netip.Addr{u.Addr6, {}} {
		e := newProbe(probePath(u, uplinks.IPv6), icmpTarget(b.Client6), replyTimeout)
		e.Path.Source = source
		a.wantError(e, "through eth1: ")
		a.wantError(e, "through eth1: ")
		a.wantReply(newProbe(probePath(u, uplinks.IPv4), icmpTarget(b.Client4), replyTimeout))
	}
	a.stop()
}

// A socket is kept when its link is renamed.
func TestICMPProbeSurvivesALinkRename(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	for _, name := range []string{"eth1", "wan1"} {
		if name != u.Link.Name {
			b.Gateway.Run("ip", "link", "set", "dev", u.Link.Name, "name", name)
		}
		for _, f := range uplinks.Families {
			for _, to := range []netip.Addr{clientAddrIn(b, f), probePath(u, f).Gateway} {
				e := newProbe(probePath(u, f), icmpTarget(to), replyTimeout)
				e.Path.Link = name
				a.wantReply(e)
			}
		}
	}
	a.stop()
}

// pro-bing sends whenever its interval is over, also while its run ends.
func TestICMPProberSendsNothingWhenItCloses(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	a := startProber(b)
	sent := map[string]*world.Recorder{}
	for _, u := range b.Uplinks {
		for _, f := range uplinks.Families {
			sent[u.Link.Name+" "+f.String()] = u.Wire.Record(requestsTo(clientAddrIn(b, f)))
			a.wantReply(newProbe(probePath(u, f), icmpTarget(clientAddrIn(b, f)), replyTimeout))
		}
	}
	a.stop()
	b.Settle()
	for sender, requests := range sent {
		if n := requests.Count(func(world.Packet) bool { return true }); n != 1 {
			t.Errorf("%s: %d echo requests for one probe", sender, n)
		}
	}
}
