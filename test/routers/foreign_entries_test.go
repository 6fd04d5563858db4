package routers

import (
	"net"
	"strings"
	"testing"

	"replypath/test/box"
)

// Entries of the neighbour table that are deleted all the time take no reply from its router, nor do addresses of routers that nobody has,
// or this host itself. When another host, or another router, has said that it has the address of the second one, its replies are right
// again by themselves, and so are they when its hardware address has changed while the link was down.
func TestRepliesSurviveForeignNeighbourEntries(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		o.configure(`routers = ["192.0.2.2", "192.0.2.200"]`, `routers = ["192.0.2.201", "fe80::2"]`) // this host's own, and nobody's
		if r := o.Must(0, "check"); !strings.Contains(r.Stderr, "uplink dsl: routers lists 192.0.2.2, an address of eth1 itself") || !strings.Contains(r.Stderr, "uplink cable: routers lists fe80::2") {
			t.Errorf("check: %s", r)
		}
		o.Must(0, "reload")
		o.AwaitInSync()
		f := o.startFlaps(t, "neigh flush all\n", "neigh flush dev eth1\n")
		p := o.pingerBy(t)
		all := []net.HardwareAddr{mustMAC(t, o.Routers[0].MAC), mustMAC(t, cable.MAC)}
		for range 20 {
			p.wantReplies(t, all...)
		}
		o.wantReplies(t)
		f.stop(t)
		third := net.HardwareAddr{2, 0, 0, 0xb, 7, 1}
		o.neighbour(cable, third.String(), "reachable") // as after its gratuitous ARP
		p.wantReplies(t, all[0])
		p.awaitReplies(t, all[1])
		o.neighbour(cable, all[0].String(), "reachable") // as the first router says by proxy ARP
		p.awaitReplies(t, all[1], all[0])
		o.Port.Down()
		cable.setMAC("02:00:00:0b:07:02")
		o.Port.Up()
		all[1] = mustMAC(t, cable.MAC)
		asked := p.asked
		p = o.pingerBy(t) // the link has closed the sockets of the first one
		p.asked = asked
		p.awaitReplies(t, all...)
		o.AwaitInSync()
		p.wantReplies(t, all...)
		o.wantReplies(t)
	})
}
