package reply

import (
	"net/netip"
	"sync"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A request from before our rules has a connection in conntrack, and a stray reply has
// made it an established one. It must get its mark all the same: at boot the client is there before we are, and a
// client with a fixed port never opens another connection.
func TestStrayingConnectionRecoversAfterApply(t *testing.T) {
	t.Parallel()
	for rpFilter, backend := range box.Backends {
		for who, serve := range services {
			c := box.Conditions{RPFilter: rpFilter}
			t.Run(who+", "+c.String(), func(t *testing.T) {
				b := box.New(t, c.Build(t, 2, world.Options{}), backend)
				b.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
				b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
				serve(b)
				wantRecovery(t, b, b.Uplinks[1])
			})
		}
	}
}

// wantRecovery sends requests by TCP and UDP, applies once they have failed, and wants replies without a new connection.
func wantRecovery(t *testing.T, b *box.Box, u *world.Uplink) {
	t.Helper()
	const port = 5000
	refused, wire := b.Uplinks[0].Refused.Record(box.Stray), u.Wire.Record()
	var requested sync.WaitGroup
	for _, to := range u.Addrs() {
		client := netip.AddrPortFrom(b.ClientAddr(to), port)
		q := box.NewRequest(world.KindTCP, to)
		q.From, q.Timeout = client, box.EventualTimeout
		requested.Go(func() {
			if a := b.Client.Send(q); !a.OK {
				t.Errorf("TCP to %s: %v", to, a)
			}
		})
		socket := b.Connected(b.Client, client, netip.AddrPortFrom(to, box.ServedPort))
		if _, err := socket.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		awaitFailedRequests(t, b, refused, wire, to)
		defer func() {
			// An ICMP error from before would be the socket's first answer.
			if err := box.Exchange(socket); err != nil {
				t.Errorf("UDP to %s: %v", to, err)
			}
			b.Settle()
			questions := func(p world.Packet) bool {
				return p.Dir == world.Out && p.To(to) && p.Flags.Is(world.SYN) && p.SrcPort != port
			}
			if n := wire.Count(questions); n != 0 {
				t.Errorf("%d new connections to %s", n, to)
			}
		}()
	}
	b.Apply()
	requested.Wait()
}

// awaitFailedRequests waits until both requests to the address have failed: their replies strayed or, where rp_filter is
// strict, they were dropped.
func awaitFailedRequests(t *testing.T, b *box.Box, refused, wire *world.Recorder, to netip.Addr) {
	t.Helper()
	for _, proto := range []int{world.TCP, world.UDP} {
		where, what := refused, func(p world.Packet) bool { return p.From(to) && p.Proto == proto }
		if b.Gateway.Sysctl("net.ipv4.conf.all.rp_filter") == "1" && to.Is4() {
			where, what = wire, func(p world.Packet) bool { return p.To(to) && p.Proto == proto }
		}
		if _, err := where.Wait(t.Context(), what); err != nil {
			t.Fatal(err)
		}
	}
}
