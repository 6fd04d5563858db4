package verify

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// lateReply is how late the host inside replies: later than a proof that is cancelled would end by itself.
const lateReply = 50 * time.Millisecond

// awaitedReply is for how long at least a proof awaits the reply of a host inside, from its datagram on, also when it is cancelled.
const awaitedReply = 200 * time.Millisecond

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
		tooLate := map[netip.AddrPort]bool{}
		for _, inside := range []netip.Addr{b.LAN4, b.LAN6} {
			box.Eventually(t, box.EventualTimeout, "a reply is sent in time", func() bool {
				peer, inTime := interruptVerify(t, b, inside)
				tooLate[peer] = !inTime
				return inTime
			})
		}
		b.Settle()
		for i, r := range strays {
			for _, p := range r.Packets() {
				if !tooLate[netip.AddrPortFrom(p.Dst, p.DstPort)] {
					t.Errorf("a packet strayed by eth%d: %s", i, p)
				}
			}
		}
	})
}

// interruptVerify runs verify, interrupts it when the server at the address has a datagram, and replies then. It returns the peer, and
// whether the reply was sent as long as any proof awaits it.
func interruptVerify(t *testing.T, b *box.Box, inside netip.Addr) (peer netip.AddrPort, inTime bool) {
	t.Helper()
	verify, server, peer, arrived := verifyAsks(t, b, inside)
	defer server.Close()
	if err := verify.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lateReply)
	if _, err := server.WriteToUDPAddrPort([]byte("reply"), peer); err != nil {
		t.Fatal(err)
	}
	inTime = time.Since(arrived) < awaitedReply
	if err := verify.Wait(); err == nil {
		t.Error("verify was interrupted and succeeded")
	}
	return peer, inTime
}

// verifyAsks starts verify, and returns when its datagram has been read at port 7001 of the host inside, from a peer: with the time at which
// the kernel had it.
func verifyAsks(t *testing.T, b *box.Box, inside netip.Addr) (verify *world.Command, server *net.UDPConn, peer netip.AddrPort, arrived time.Time) {
	t.Helper()
	var err error
	b.LAN.Do(func() { server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, 7001))) })
	if err != nil {
		t.Fatal(err)
	}
	stampArrivals(t, server)
	verify = b.Command(t.Context(), "verify")
	if err := verify.Start(); err != nil {
		t.Fatal(err)
	}
	_ = server.SetReadDeadline(time.Now().Add(box.EventualTimeout))
	control := make([]byte, 64)
	_, n, _, peer, err := server.ReadMsgUDPAddrPort(make([]byte, 64), control)
	if err != nil {
		t.Fatalf("verify has sent no datagram to %s: %v", inside, err)
	}
	return verify, server, peer, arrivalTime(t, control[:n])
}

// stampArrivals makes the kernel add to each datagram when it arrived (SO_TIMESTAMPNS of socket(7)).
func stampArrivals(t *testing.T, server *net.UDPConn) {
	t.Helper()
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err := errors.Join(err, refused); err != nil {
		t.Fatal(err)
	}
}

// arrivalTime returns what stampArrivals has added.
func arrivalTime(t *testing.T, control []byte) time.Time {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 || len(messages[0].Data) < 16 {
		t.Fatalf("the datagram has no time: %v, %v", messages, err)
	}
	seconds, nanoseconds := binary.NativeEndian.Uint64(messages[0].Data), binary.NativeEndian.Uint64(messages[0].Data[8:])
	return time.Unix(int64(seconds), int64(nanoseconds))
}

// addDNATOf7001 translates datagrams to port 7001 of the uplink to the hosts inside.
func addDNATOf7001(b *box.Box, u *world.Uplink) {
	for family, inside := range map[int]netip.Addr{4: b.LAN4, 6: b.LAN6} {
		to := map[int]netip.Addr{4: u.Addr4, 6: u.Addr6}[family]
		b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "7001", "-d", to.String(), "-j", "DNAT", "--to", inside.String())
	}
}
