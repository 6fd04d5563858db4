package test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"replypath/test/world"
)

// A question that was asked before our rules were there has a connection in conntrack, and an answer that strayed has
// made it an established one. It must get its mark all the same: at boot the client is there before we are, and a
// client with a fixed port never asks by another connection.
func TestStrayingConnectionRecoversAfterApply(t *testing.T) {
	for rpFilter, backend := range backends {
		for who, serve := range services {
			c := conditions{rpFilter: rpFilter}
			t.Run(who+", "+c.String(), func(t *testing.T) {
				b := newBox(t, c.build(t, 2, world.Options{}), backend)
				b.Gateway.ServeUDP(servedPort, world.Pktinfo)
				b.LAN.ServeUDP(servedPort, world.Pktinfo)
				serve(b)
				b.wantRecovery(t, b.Uplinks[1])
			})
		}
	}
}

// wantRecovery asks by TCP and by UDP, applies once that has failed, and wants answers without a new connection.
func (b *box) wantRecovery(t *testing.T, u *world.Uplink) {
	t.Helper()
	const port = 5000
	refused, wire := b.Uplinks[0].Refused.Record(stray), u.Wire.Record()
	var requested sync.WaitGroup
	for _, to := range u.Addrs() {
		client := netip.AddrPortFrom(b.clientAddr(to), port)
		q := newRequest(world.KindTCP, to)
		q.From, q.Timeout = client, 20*time.Second
		requested.Go(func() {
			if a := b.Client.Send(q); !a.OK {
				t.Errorf("TCP to %s: %v", to, a)
			}
		})
		socket := b.connected(b.Client, client, netip.AddrPortFrom(to, servedPort))
		if _, err := socket.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		b.awaitFailedRequests(t, refused, wire, to)
		defer func() {
			// An ICMP error from before would be the socket's first answer.
			if err := exchange(socket); err != nil {
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
	b.apply()
	requested.Wait()
}

// awaitFailedRequests waits until both questions to the address were asked in vain: their answers went astray or, where the source
// check is strict, they were never heard.
func (b *box) awaitFailedRequests(t *testing.T, refused, wire *world.Recorder, to netip.Addr) {
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
