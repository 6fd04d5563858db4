package world_test

import (
	"net/netip"
	"testing"
	"time"

	"replypath/test/world"
)

// A SYN-ACK without an ACK is sent again after a second. Its exchange is distinguished from one that begins later, as is
// the error of ICMP that quotes a request.
func TestPhaseTellsLatePacketsApart(t *testing.T) {
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(7000)
	to := w.Uplinks[0].Addr4
	wire := w.Uplinks[0].Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && p.From(to) })
	w.Client.Run("ip", "route", "add", "blackhole", to.String()) // nothing of the client's gets out any more
	source := netip.AddrPortFrom(w.Client4, w.ClientPort())
	w.Uplinks[0].ISP.Forge(world.Request{Kind: world.KindTCP, From: source, To: netip.AddrPortFrom(to, 7000)})
	synAck := func(p world.Packet) bool { return p.Flags.Is(world.SYN|world.ACK) && p.DstPort == source.Port() }
	first, err := wire.Wait(t.Context(), synAck)
	if err != nil {
		t.Fatal(err)
	}
	phase := w.NewPhase()
	wire.Reset()
	again, err := wire.Wait(t.Context(), synAck)
	if err != nil {
		t.Fatal(err)
	}
	if !phase.Earlier(first) || !phase.Earlier(again) {
		t.Errorf("a segment of before the phase is taken for one of it: %s", again)
	}
	w.Client.Run("ip", "route", "del", "blackhole", to.String())
	for _, kind := range []world.Kind{world.KindTCP, world.KindPing, world.KindClosedTCP, world.KindClosedUDP} {
		before := w.NewPhase()
		wire.Reset()
		if a := w.Client.Send(world.Request{Kind: kind, To: netip.AddrPortFrom(to, map[bool]uint16{true: 7000, false: 9}[kind == world.KindTCP]), Timeout: time.Minute}); !a.OK {
			t.Fatalf("%s: %v", kind, a)
		}
		w.Settle()
		after, later, earlier := w.NewPhase(), 0, 0
		for _, p := range wire.Packets() {
			if !before.Earlier(p) {
				later++
			}
			if after.Earlier(p) {
				earlier++
			}
		}
		if later == 0 || earlier == 0 {
			t.Errorf("%s: %d packets are of the phase that it began in, and %d are earlier in the next", kind, later, earlier)
		}
	}
}
