package reply

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// requestLoad is requests to both families of some uplinks while uplinks are added and removed: each is a new
// connection, and is answered by one packet.
type requestLoad struct {
	*box.Box
	t       *testing.T
	replies map[netip.Addr]*atomic.Int64
	ended   atomic.Bool
	clients sync.WaitGroup
}

// requestPause leaves the gateway the time to change: requests without a pause take both CPUs.
const requestPause = time.Millisecond

// startRequests sends requests to a port of the addresses of some uplinks until end.
func startRequests(t *testing.T, b *box.Box, at uint16, uplinks ...*world.Uplink) *requestLoad {
	t.Helper()
	q := &requestLoad{Box: b, t: t, replies: map[netip.Addr]*atomic.Int64{}}
	t.Cleanup(q.end)
	for _, u := range uplinks {
		for _, to := range u.Addrs() {
			n := &atomic.Int64{}
			q.replies[to] = n
			q.clients.Go(func() {
				// Each uplink's requests have ports of their own.
				for port := uint16(1024 + u.Index); port < 60000 && !q.ended.Load(); port += 2 {
					if err := exchangeOnce(b, netip.AddrPortFrom(b.ClientAddr(to), port), netip.AddrPortFrom(to, at)); err != nil {
						t.Errorf("question %d to %s: %v", n.Load()+1, to, err)
						return
					}
					n.Add(1)
					time.Sleep(requestPause)
				}
			})
		}
	}
	return q
}

func (q *requestLoad) end() {
	q.ended.Store(true)
	q.clients.Wait()
}

// exchangeOnce sends a datagram once and waits for the reply.
func exchangeOnce(b *box.Box, from, to netip.AddrPort) error {
	socket := b.Connected(b.Client, from, to)
	defer socket.Close()
	return box.Exchange(socket)
}

// wantCounted wants every answer that a wire saw to be counted, once, by its uplink, and none as stray.
func (q *requestLoad) wantCounted(wires map[netip.Addr]*world.Recorder) {
	q.t.Helper()
	q.end()
	q.Settle()
	for to, n := range q.replies {
		u := uplinkOf(q.Box, to)
		left := wires[to].Count(box.RepliesFrom(to))
		if got := replyCounters(q.Box, box.FamilyOf(to), u.Index+1); int64(left) != n.Load() || got != [2]int{left, 0} {
			q.t.Errorf("%s: %d requests, %d replies left by %s; counted are %d, and %d strays", to, n.Load(), left, u.Link.Name, got[0], got[1])
		}
		q.t.Logf("%s: %d questions", to, n.Load())
	}
}

func uplinkOf(b *box.Box, to netip.Addr) *world.Uplink {
	for _, u := range b.Uplinks {
		if u.Addr4 == to || u.Addr6 == to {
			return u
		}
	}
	b.T.Fatalf("no uplink has %s", to)
	return nil
}

// replyCounters returns an uplink's counters: symmetric and stray.
func replyCounters(b *box.Box, family, id int) [2]int {
	b.T.Helper()
	n := counts(b, family, "REPLYPATH-S"+string(rune('0'+id)))
	if len(n) != 2 {
		b.T.Fatalf("uplink %d has %d counters", id, len(n))
	}
	return [2]int{n[0], n[1]}
}

// Across the number of uplinks from which on chains and rules are laid out in steps, up and down, by apply and by the
// service, which is restarted and reads its configuration again.
func TestReplyCountersAreExactWhileUplinksComeAndGo(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.ISPs(t, 18, world.Options{Spoofable: true}), backend)
		service := b.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
		defer service.Close()
		b.Configure(b.Uplinks[:2]...)
		b.Apply()
		wires := map[netip.Addr]*world.Recorder{}
		for _, u := range b.Uplinks[:2] {
			for _, to := range u.Addrs() {
				wires[to] = u.Wire.Record(box.RepliesFrom(to))
			}
		}
		q := startRequests(t, b, box.ServedPort, b.Uplinks[:2]...)
		for _, n := range []int{15, 16, 18, 3, 17, 2} {
			b.Configure(b.Uplinks[:n]...)
			b.Apply()
		}
		for range 2 {
			s := b.Start()
			for _, n := range []int{16, 2} {
				b.Configure(b.Uplinks[:n]...)
				b.Must(0, "reload")
			}
			s.Stop()
		}
		q.wantCounted(wires)
	})
}

func TestStrayRepliesAreCountedPerUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.ISPs(t, 2, world.Options{Spoofable: true}), backend)
		service := b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
		defer service.Close()
		b.AddDNAT(b.LAN4, b.LAN6)
		b.Apply()
		for _, version := range []string{"-4", "-6"} {
			b.Gateway.Run("ip", version, "rule", "del", "fwmark", "0x200/0x1f00", "lookup", "8202")
		}
		const requested = 10
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				astray := b.Uplinks[0].Wire.Record(box.RepliesFrom(to))
				for range requested {
					if err := exchangeOnce(b, netip.AddrPortFrom(b.ClientAddr(to), b.ClientPort()), netip.AddrPortFrom(to, box.ServedPort)); err != nil {
						t.Fatal(err)
					}
				}
				b.Settle()
				want := [2]int{requested, 0}
				if u.Index == 1 {
					want = [2]int{0, requested}
				}
				if n := astray.Count(box.RepliesFrom(to)); n != requested {
					t.Fatalf("%d answers of %s left by eth0: the test proves nothing", n, to)
				}
				if got := replyCounters(b, box.FamilyOf(to), u.Index+1); got != want {
					t.Errorf("%s: %d replies by their ingress and %d strays are counted, want %d", u.Link.Name, got[0], got[1], want)
				}
			}
		}
	})
}
