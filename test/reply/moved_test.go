package reply

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// Addresses of the gateway that several providers route to it: anycast, or announced by BGP.
var (
	announced4 = netip.MustParsePrefix("198.18.77.1/32")
	announced6 = netip.MustParsePrefix("2001:db8:77::1/128")
)

// The questions of an open connection come in by another uplink from one packet to the next, and the provider of the first
// one is dead. Replies follow them, and the connections live on, whatever the source check, the service and the number of
// uplinks.
func TestRepliesFollowLatestIngress(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, uplinks := range []int{2, 6} {
			for _, rpFilter := range []int{0, 1, 2} {
				for _, forwarded := range []bool{false, true} {
					c := box.Conditions{RPFilter: rpFilter}
					t.Run(fmt.Sprintf("%d uplinks, %s, forwarded %t", uplinks, c, forwarded), func(t *testing.T) {
						b := box.New(t, c.Build(t, uplinks, world.Options{}), backend)
						testMovedConnections(b, t, forwarded)
					})
				}
			}
		}
	})
}

func testMovedConnections(b *box.Box, t *testing.T, forwarded bool) {
	t.Helper()
	first, last := b.Uplinks[0], b.Uplinks[len(b.Uplinks)-1]
	announce(b, first, last)
	server := b.Gateway
	if forwarded {
		server = b.LAN
		b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", announced4.Addr().String(), "-j", "DNAT", "--to", b.LAN4.String())
		b.Iptables(6, "-t", "nat", "-A", "PREROUTING", "-d", announced6.Addr().String(), "-j", "DNAT", "--to", b.LAN6.String())
	}
	box.ServeAll(server)
	b.Apply()
	for _, to := range []netip.Addr{announced4.Addr(), announced6.Addr()} {
		reach(b, to, last)
		open, err := b.Client.Connect(box.NewRequest(world.KindTCP, to), 1)
		if err != nil {
			t.Fatalf("%s by %s: %v", to, last.Link.Name, err)
		}
		socket := b.Connected(b.Client, netip.AddrPortFrom(b.ClientAddr(to), b.ClientPort()), netip.AddrPortFrom(to, box.ServedPort))
		for i, by := range []*world.Uplink{last, first, last} {
			other := map[*world.Uplink]*world.Uplink{first: last, last: first}[by]
			reach(b, to, by)
			box.SetBlackHole(other, true)
			if err := box.Exchange(socket); err != nil {
				t.Errorf("UDP with %s, move %d, to %s: %v", to, i, by.Link.Name, err)
			}
			if open.Alive(time.Minute) != 1 {
				t.Errorf("TCP with %s, move %d, to %s: the connection is dead", to, i, by.Link.Name)
			}
			box.SetBlackHole(other, false)
		}
		for id := range 2 {
			u := []*world.Uplink{first, last}[id]
			if n := replyCounters(b, box.FamilyOf(to), u.Index+1); n[1] != 0 {
				t.Errorf("%s: %d replies are counted as strays", u.Link.Name, n[1])
			}
		}
		open.Close()
	}
}

// announce makes the ISPs of the uplinks route the announced addresses to the gateway, which has them on lo.
func announce(b *box.Box, uplinks ...*world.Uplink) {
	b.T.Helper()
	b.Gateway.Link("lo").Addr(announced4.String(), announced6.String())
	for _, u := range uplinks {
		for _, p := range []netip.Prefix{announced4, announced6} {
			b.Carry(u, p)
		}
	}
}

// reach makes the client send to an announced address by the ISP of an uplink.
func reach(b *box.Box, to netip.Addr, u *world.Uplink) {
	b.T.Helper()
	via, version := u.Router4, "-4"
	if to.Is6() {
		via, version = u.RouterLL, "-6"
	}
	b.Client.Run("ip", version, "route", "replace", to.String(), "via", via.String(), "dev", u.ClientLink.Name, "onlink", "src", b.ClientAddr(to).String())
}
