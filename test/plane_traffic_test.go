package test

import (
	"testing"

	"replypath/test/world"
)

// Uplinks come and go across the number from which on rules and chains are laid out in steps, up and down, by apply and
// by the service, while the first two carry streams and idle connections to the gateway and through it, and new
// connections are opened all the time. No packet of theirs leaves by another uplink at any moment.
func TestNoPacketStraysWhileUplinksComeAndGo(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		for _, family := range []int{4, 6} {
			b := newBox(t, conditions{rpFilter: 1}.build(t, 17, world.Options{}), backend)
			serveAll(b.Gateway)
			datagrams := b.LAN.ServeUDP(forwardedPort, world.Pktinfo)
			for _, u := range b.Uplinks[:2] {
				for to, inside := range map[string]string{u.Addr4.String(): b.LAN4.String(), u.Addr6.String(): b.LAN6.String()} {
					b.iptables(map[bool]int{true: 4, false: 6}[to == u.Addr4.String()], "-t", "nat", "-A", "PREROUTING", "-p", "udp",
						"--dport", "7001", "-d", to, "-j", "DNAT", "--to", inside)
				}
			}
			b.configure(b.Uplinks[:2]...)
			b.apply()
			f := b.startConnections(t, family, b.Uplinks[:2]...)
			q := b.startRequests(t, forwardedPort, b.Uplinks[:2]...)
			for _, n := range []int{16, 15, 17} {
				b.configure(b.Uplinks[:n]...)
				b.apply()
			}
			s := b.start()
			for _, n := range []int{15, 16, 2} {
				b.configure(b.Uplinks[:n]...)
				b.must(0, "reload")
			}
			f.wantUndisturbed(t)
			q.end()
			s.stop()
			f.wantUndisturbed(t)
			f.wantAlive(t)
			datagrams.Close()
		}
	})
}

// forwardedPort is passed on to the LAN.
const forwardedPort = 7001
