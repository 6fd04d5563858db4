//go:build modules

package test

import (
	"strings"
	"testing"

	"replypath/test/world"
)

// The kernel asks the table of a VRF before any rule of ours. So an uplink in one is left alone, and said so; the others
// work, also while it goes in and comes out.
func TestModulesUplinkInAVRFIsLeftAlone(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 3, world.Options{Spoofable: true}), backend)
		serveAll(b.Gateway)
		enslaved, other := b.Uplinks[1], b.Uplinks[2]
		addLink(b.Gateway, "red", "type", "vrf", "table", "77")
		b.Gateway.Run("ip", "link", "set", "eth1", "master", "red")
		told := "eth1 is in a VRF, whose table 77"
		for _, command := range []string{"check", "apply"} {
			if r := b.must(0, command); strings.Count(r.stderr, told) != 1 || strings.Count(r.stderr, "uplink isp1") > 2 {
				t.Errorf("%s: %s", command, r)
			}
		}
		if r := b.must(0, "plan"); r.stdout != "" {
			t.Errorf("plan after apply: %s", r)
		}
		b.wantFinding(b.runDoctor(), isWarning, "uplinks", told, "ip link set eth1 nomaster")
		p := b.watchClient()
		b.answersByOthers(t, p, other)
		b.answersInTheVRF(t, p, enslaved)
		b.Gateway.Run("ip", "link", "set", "eth1", "nomaster")
		b.restore(enslaved)
		b.apply()
		p.wantRepliesFromAll(t, b.Client, world.Kinds)

		s := b.start()
		defer s.stop()
		b.Gateway.Run("ip", "link", "set", "eth1", "master", "red")
		eventually(t, eventualTimeout, "the service says so", func() bool { return strings.Contains(b.run("status").stdout, told) })
		b.answersByOthers(t, p, other)
		b.Gateway.Run("ip", "link", "set", "eth1", "nomaster")
		b.restore(enslaved)
		eventually(t, eventualTimeout, "the service takes care of it again", func() bool { return b.run("plan").stdout == "" })
		b.awaitUp()
		p.wantRepliesFromAll(t, b.Client, world.Kinds)
	})
}

// restore gives the uplink's link its IPv6 addresses anew: the kernel takes them when a link goes into a VRF or out.
func (b *box) restore(u *world.Uplink) {
	b.t.Helper()
	u.Link.LinkLocal("fe80::2")
	u.Link.Addr(u.Addr6.String() + "/64")
}

func (b *box) answersByOthers(t *testing.T, p *egress, u *world.Uplink) {
	t.Helper()
	for _, to := range u.Addrs() {
		p.wantReplies(t, b.Client, u, to, world.Kinds)
	}
}

// answersInTheVRF wants what the remedy says of sockets in it.
func (b *box) answersInTheVRF(t *testing.T, p *egress, u *world.Uplink) {
	t.Helper()
	b.restore(u)
	b.Gateway.Run("ip", "route", "add", "default", "via", u.Router4.String(), "dev", "eth1", "table", "77")
	b.Gateway.Run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth1", "table", "77")
	b.Gateway.SetSysctl("net.ipv4.tcp_l3mdev_accept", "1")
	for _, to := range u.Addrs() {
		p.wantReplies(t, b.Client, u, to, []world.Kind{world.KindTCP, world.KindPing})
	}
}
