package daemon

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/test/world"
)

// TestRouterAdvertisementsAreFollowed changes the MTU of a learnt route, for which the kernel sends no event.
func TestRouterAdvertisementsAreFollowed(t *testing.T) {
	w := newFollowedHost(t, marks.NFT)
	w.gateway.Run("sh", "-ec", `
		ip -6 route del default
		sysctl -qw net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.eth0.accept_ra_defrtr=1 net.ipv6.conf.eth0.accept_ra_mtu=1`)
	router := netip.MustParseAddr("fe80::99")
	w.isp.Link("eth0").LinkLocal(router.String())
	for _, advertised := range []struct {
		lifetime uint16
		mtu      uint32
		main     string
	}{{1000, 1400, "mtu 1400"}, {1000, 1300, "mtu 1300"}, {1000, 1500, "mtu 1500"}, {0, 1500, ""}} {
		w.isp.Link("eth0").Advertise(world.Advertisement{From: router, Lifetime: advertised.lifetime, MTU: advertised.mtu})
		w.gateway.Run("sh", "-ec", fmt.Sprintf(
			"until ip -6 route show default | grep -q '%s' || [ -z '%[1]s' -a -z \"$(ip -6 route show default)\" ]; do sleep 0.01; done", advertised.main))
		w.awaitAgreement(fmt.Sprintf("%+v", advertised))
	}
}
