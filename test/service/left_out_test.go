package service

import (
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// familyOf returns the status of a family of the second uplink.
func familyOf(b *box.Box, family uplinks.Family) (found health.FamilyStatus) {
	for _, f := range b.ServiceStatus().Uplinks[1].Families {
		if f.Family == family {
			found = f
		}
	}
	return found
}

// The IPv6 gateway of the second uplink is in the LAN: the kernel refuses the route. The service leaves that path out and
// applies the others, and takes it in once the kernel accepts it.
func TestRefusedPathIsTakenInOnceTheKernelAcceptsIt(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	box.ServeAll(b.Gateway)
	b.GatewayOf(1, `["192.0.2.1", "2001:db8:f::9"]`)
	s := b.Start()
	r := b.Must(3, "status")
	text := strings.Join(strings.Fields(r.Stdout), " ")
	if !strings.Contains(text, "in sync since") || !strings.Contains(text, "left out: ip -6 route replace default via 2001:db8:f::9 dev eth1") {
		t.Errorf("status: %s", r)
	}
	if f := familyOf(b, uplinks.IPv6); f.State != health.Absent || !strings.Contains(f.LeftOut, "the kernel refuses the route: invalid argument") {
		t.Errorf("IPv6: %+v", f)
	}
	if f := familyOf(b, uplinks.IPv4); f.LeftOut != "" {
		t.Errorf("IPv4 is left out: %s", f.LeftOut)
	}
	p := b.RecordEgress()
	kinds := []world.Kind{world.KindTCP, world.KindPing}
	p.WantReplies(t, b.Client, b.Uplinks[0], b.Uplinks[0].Addr6, kinds)
	p.WantReplies(t, b.Client, b.Uplinks[1], b.Uplinks[1].Addr4, kinds)
	if n := strings.Count(s.Log.String(), "uplink isp1: IPv6 is left out"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	b.Shell("ip -6 addr del 2001:db8:f::1/64 dev lan0")
	box.Eventually(t, box.EventualTimeout, "the path is taken in", func() bool { return familyOf(b, uplinks.IPv6).LeftOut == "" })
	b.AwaitTable(t, 6, 8202, "default via 2001:db8:f::9 dev eth1", true)
	b.AwaitRuleText(t, 6, "lookup 8202", true)
}

// A reload with a gateway that cannot be right names it and ends with exit 3. The path that was in force stays so, and the
// change of the other uplink is applied.
func TestReloadLeavesOutAMistake(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	box.ServeAll(b.Gateway)
	b.Start()
	before := b.Gateway.Run("ip", "route", "show", "table", "8202")
	b.GatewayOf(1, `["198.51.100.1", "fe80::1"]`)
	b.GatewayOf(0, `["198.51.100.77", "fe80::1"]`)
	const words = "warning: uplink isp1: IPv4 is left out: its gateway 198.51.100.1 is in 198.51.100.0/24, a network of eth0 (uplink isp0), and in none of eth1"
	for _, command := range []string{"reload", "apply"} {
		if r := b.Must(3, command); !strings.Contains(r.Stderr, words) {
			t.Errorf("%s: %s", command, r)
		}
	}
	b.AwaitTable(t, 4, 8201, "default via 198.51.100.77 dev eth0", true)
	if after := b.Gateway.Run("ip", "route", "show", "table", "8202"); after != before {
		t.Errorf("the path that is left out has other routes:\n%swas\n%s", after, before)
	}
	b.RecordEgress().WantReplies(t, b.Client, b.Uplinks[1], b.Uplinks[1].Addr4, []world.Kind{world.KindTCP, world.KindPing})
	b.Configure(b.Uplinks...)
	b.Must(0, "reload")
	if f := familyOf(b, uplinks.IPv4); f.LeftOut != "" {
		t.Errorf("still left out: %s", f.LeftOut)
	}
}

// A link that becomes a port of a bridge has no requests any more, and its uplink says so; it is managed again once it is none.
func TestLinkThatBecomesAPortIsNamed(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	b.AwaitRuleText(t, 4, "from 192.0.2.2 lookup 8202", true)
	b.Shell("ip link add br1 type bridge", "ip link set eth1 master br1")
	box.Eventually(t, box.EventualTimeout, "the port is named", func() bool {
		f := familyOf(b, uplinks.IPv4)
		return f.State == health.Absent && f.Reason == "eth1 is a port of br1, by which its packets come in"
	})
	b.AwaitRuleText(t, 4, "from 192.0.2.2 lookup 8202", false)
	b.Shell("ip link set eth1 nomaster")
	b.AwaitRuleText(t, 4, "from 192.0.2.2 lookup 8202", true)
	b.AwaitInSync()
}
