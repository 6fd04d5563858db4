package reply

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Uplinks come and go across the number from which on rules and chains are laid out in steps, up and down, by apply and
// by the service, while the first two carry streams and idle connections to the gateway and through it, and new
// connections are opened all the time. No packet of theirs leaves by another uplink at any moment.
func TestNoPacketStraysWhileUplinksComeAndGo(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, family := range []int{4, 6} {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 17, world.Options{}), backend)
			box.ServeAll(b.Gateway)
			datagrams := b.LAN.ServeUDP(forwardedPort, world.Pktinfo)
			for _, u := range b.Uplinks[:2] {
				for to, inside := range map[string]string{u.Addr4.String(): b.LAN4.String(), u.Addr6.String(): b.LAN6.String()} {
					b.Iptables(map[bool]int{true: 4, false: 6}[to == u.Addr4.String()], "-t", "nat", "-A", "PREROUTING", "-p", "udp",
						"--dport", "7001", "-d", to, "-j", "DNAT", "--to", inside)
				}
			}
			b.Configure(b.Uplinks[:2]...)
			b.Apply()
			f := b.StartConnections(t, family, b.Uplinks[:2]...)
			q := startRequests(t, b, forwardedPort, b.Uplinks[:2]...)
			for _, n := range []int{16, 15, 17} {
				b.Configure(b.Uplinks[:n]...)
				b.Apply()
			}
			s := b.Start()
			for _, n := range []int{15, 16, 2} {
				b.Configure(b.Uplinks[:n]...)
				b.Must(0, "reload")
			}
			f.WantUndisturbed(t)
			q.end()
			s.Stop()
			f.WantUndisturbed(t)
			f.WantAlive(t)
			datagrams.Close()
		}
	})
}

// forwardedPort is passed on to the LAN.
const forwardedPort = 7001
