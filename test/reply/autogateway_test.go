package reply

import (
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// autoGatewayCases are default routes by the second uplink of which the kernel takes one, by the uplink's router. The other is
// there first, and leads nowhere.
var autoGatewayCases = map[string]func(b *box.Box){
	"one for a type of service": func(b *box.Box) {
		b.Shell("ip route add default via 192.0.2.99 dev eth1 tos 0x10", "ip route add 203.0.113.0/24 dev eth1 tos 0x10",
			"ip route add default via 192.0.2.1 dev eth1 metric 100", "ip -6 route add default via fe80::1 dev eth1 metric 2000")
	},
	"one of a router that does not want to be preferred": func(b *box.Box) {
		b.Shell("ip route add default via 192.0.2.1 dev eth1 metric 100",
			"sysctl -qw net.ipv6.conf.eth1.accept_ra=2 net.ipv6.conf.eth1.accept_ra_defrtr=1 net.ipv6.conf.eth1.accept_ra_rtr_pref=1")
		side := b.Uplinks[1].Side
		side.Addr("fe80::99/64")
		side.Advertise(world.Advertisement{From: netip.MustParseAddr("fe80::99"), Lifetime: 1800, MTU: 1500, Preference: -1})
		b.Shell("until ip -6 route | grep -q 'via fe80::99 dev eth1 .*pref low'; do sleep 0.01; done")
		side.Advertise(world.Advertisement{From: b.Uplinks[1].RouterLL, Lifetime: 1800, MTU: 1500, Preference: 1})
		b.Shell("until ip -6 route | grep -q 'via fe80::1 dev eth1 .*pref high'; do sleep 0.01; done")
		side.Host.Run("ip", "addr", "del", "fe80::99/64", "dev", side.Name)
	},
}

func TestAutoGatewayIsTheOneTheKernelUses(t *testing.T) {
	t.Parallel()
	for name, of := range autoGatewayCases {
		t.Run(name, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
			b.GatewayOf(1, box.AutoGateways)
			box.ServeAll(b.Gateway)
			of(b)
			b.Apply()
			b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
		})
	}
}
