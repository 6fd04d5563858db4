package verify

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// lateReply is how late the host inside replies: later than a proof that is cancelled would end by itself.
const lateReply = 50 * time.Millisecond

// TestReplyToACancelledProofDoesNotLeave interrupts verify when its datagram has arrived at the host inside that DNAT leads it to. The reply
// of that host must not leave: the connection that would translate it back is about to be deleted.
func TestReplyToACancelledProofDoesNotLeave(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		var strays []*world.Recorder
		for _, u := range b.Uplinks {
			addDNATOf7001(b, u)
			strays = append(strays, u.Refused.Record(func(p world.Packet) bool { return box.Stray(p) && !u.Has(p.Src) }))
		}
		b.Apply()
		for _, inside := range []netip.Addr{b.LAN4, b.LAN6} {
			interruptVerify(t, b, inside)
		}
		b.Settle()
		for i, r := range strays {
			if packets := r.Packets(); len(packets) != 0 {
				t.Errorf("%d packets strayed by eth%d; the first: %s", len(packets), i, packets[0])
			}
		}
	})
}

// interruptVerify runs verify, interrupts it when the server at the address has a datagram, and replies then.
func interruptVerify(t *testing.T, b *box.Box, inside netip.Addr) {
	t.Helper()
	verify, server, from := verifyAsks(t, b, inside)
	defer server.Close()
	if err := verify.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lateReply)
	if _, err := server.WriteToUDPAddrPort([]byte("reply"), from); err != nil {
		t.Fatal(err)
	}
	if err := verify.Wait(); err == nil {
		t.Error("verify was interrupted and succeeded")
	}
}

// verifyAsks starts verify, and returns when its datagram has arrived at port 7001 of the host inside, from a peer.
func verifyAsks(t *testing.T, b *box.Box, inside netip.Addr) (verify *world.Command, server *net.UDPConn, from netip.AddrPort) {
	t.Helper()
	var err error
	b.LAN.Do(func() { server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, 7001))) })
	if err != nil {
		t.Fatal(err)
	}
	verify = b.Command(t.Context(), "verify")
	if err := verify.Start(); err != nil {
		t.Fatal(err)
	}
	_ = server.SetReadDeadline(time.Now().Add(box.EventualTimeout))
	if _, from, err = server.ReadFromUDPAddrPort(make([]byte, 64)); err != nil {
		t.Fatalf("verify has sent no datagram to %s: %v", inside, err)
	}
	return verify, server, from
}

// addDNATOf7001 translates datagrams to port 7001 of the uplink to the hosts inside.
func addDNATOf7001(b *box.Box, u *world.Uplink) {
	for family, inside := range map[int]netip.Addr{4: b.LAN4, 6: b.LAN6} {
		to := map[int]netip.Addr{4: u.Addr4, 6: u.Addr6}[family]
		b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "7001", "-d", to.String(), "-j", "DNAT", "--to", inside.String())
	}
}
