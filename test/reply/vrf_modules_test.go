//go:build modules

package reply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The kernel looks up the table of a VRF before any rule of ours. An uplink in one is left alone, with a warning; the others
// work, also while it goes in and comes out.
func TestModulesUplinkInAVRFIsLeftAlone(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 3, world.Options{Spoofable: true}), backend)
		box.ServeAll(b.Gateway)
		enslaved, other := b.Uplinks[1], b.Uplinks[2]
		box.AddLink(b.Gateway, "red", "type", "vrf", "table", "77")
		b.Gateway.Run("ip", "link", "set", "eth1", "master", "red")
		warning := "eth1 is in a VRF, whose table 77"
		for _, command := range []string{"check", "apply"} {
			if r := b.Must(0, command); strings.Count(r.Stderr, warning) != 1 || strings.Count(r.Stderr, "uplink isp1") > 2 {
				t.Errorf("%s: %s", command, r)
			}
		}
		if r := b.Must(0, "plan"); r.Stdout != "" {
			t.Errorf("plan after apply: %s", r)
		}
		b.WantFinding(b.RunDoctor(), box.IsWarning, "uplinks", warning, "ip link set eth1 nomaster")
		p := b.RecordAtClient()
		answersByOthers(t, b, p, other)
		answersInTheVRF(t, b, p, enslaved)
		b.Gateway.Run("ip", "link", "set", "eth1", "nomaster")
		restore(b, enslaved)
		b.Apply()
		p.WantRepliesFromAll(t, b.Client, world.Kinds)

		s := b.Start()
		defer s.Stop()
		b.Gateway.Run("ip", "link", "set", "eth1", "master", "red")
		box.Eventually(t, box.EventualTimeout, "the service says so", func() bool { return strings.Contains(b.Run("status").Stdout, warning) })
		answersByOthers(t, b, p, other)
		b.Gateway.Run("ip", "link", "set", "eth1", "nomaster")
		restore(b, enslaved)
		box.Eventually(t, box.EventualTimeout, "the service takes care of it again", func() bool { return b.Run("plan").Stdout == "" })
		b.AwaitUp()
		p.WantRepliesFromAll(t, b.Client, world.Kinds)
	})
}

// restore gives the uplink's link its IPv6 addresses anew: the kernel takes them when a link goes into a VRF or out.
func restore(b *box.Box, u *world.Uplink) {
	b.T.Helper()
	u.Link.LinkLocal("fe80::2")
	u.Link.Addr(u.Addr6.String() + "/64")
}

func answersByOthers(t *testing.T, b *box.Box, p *box.Egress, u *world.Uplink) {
	t.Helper()
	for _, to := range u.Addrs() {
		p.WantReplies(t, b.Client, u, to, world.Kinds)
	}
}

// answersInTheVRF wants the behaviour of sockets in the VRF that the remedy describes.
func answersInTheVRF(t *testing.T, b *box.Box, p *box.Egress, u *world.Uplink) {
	t.Helper()
	restore(b, u)
	b.Gateway.Run("ip", "route", "add", "default", "via", u.Router4.String(), "dev", "eth1", "table", "77")
	b.Gateway.Run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth1", "table", "77")
	b.Gateway.SetSysctl("net.ipv4.tcp_l3mdev_accept", "1")
	for _, to := range u.Addrs() {
		p.WantReplies(t, b.Client, u, to, []world.Kind{world.KindTCP, world.KindPing})
	}
}
