package reply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The rules move from each backend to each other one, by apply and by the service, while two uplinks carry streams and idle
// connections to the gateway and through it, and new connections are opened all the time. No packet of theirs leaves by
// another uplink, and no reply is missing.
func TestNoReplyIsLostWhileBackendChanges(t *testing.T) {
	t.Parallel()
	for _, family := range []int{4, 6} {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
		box.ServeAll(b.Gateway)
		datagrams := b.LAN.ServeUDP(forwardedPort, world.Pktinfo)
		for _, u := range b.Uplinks {
			b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "7001", "-d", u.Addr4.String(), "-j", "DNAT", "--to", b.LAN4.String())
			b.Iptables(6, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "7001", "-d", u.Addr6.String(), "-j", "DNAT", "--to", b.LAN6.String())
		}
		use := func(backend string) {
			b.Settings = []string{backend}
			b.Configure(b.Uplinks...)
		}
		b.Apply()
		f := b.StartConnections(t, family, b.Uplinks...)
		q := startRequests(t, b, forwardedPort, b.Uplinks...)
		for _, backend := range []string{box.Nftables, box.Backends[0], box.Backends[1], box.Nftables, box.Backends[1], box.Backends[0], box.Nftables} {
			use(backend)
			b.Apply()
		}
		s := b.Start()
		for _, backend := range []string{box.Backends[0], box.Backends[1], box.Nftables, box.Backends[1], box.Backends[0], box.Nftables} {
			use(backend)
			b.Must(0, "reload")
		}
		f.WantUndisturbed(t)
		q.end()
		s.Stop()
		f.WantUndisturbed(t)
		f.WantAlive(t)
		if saved := b.Gateway.Run("iptables-nft-save") + b.Gateway.Run("ip6tables-legacy-save"); strings.Contains(saved, "REPLYPATH") {
			t.Errorf("left behind: %s", saved)
		}
		datagrams.Close()
	}
}
