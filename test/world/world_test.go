package world_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"replypath/test/world"
)

func serveAll(h *world.Host) {
	const port = 7000
	h.ServeTCP(port)
	h.ServeUDP(port, world.Pktinfo)
	h.ServeUDPLite(port)
	h.ServeRaw()
	h.ServeSCTP(port)
}

// newRequest returns a request of a kind that the services of serveAll answer.
func newRequest(kind world.Kind, to netip.Addr) world.Request {
	port := uint16(7000)
	if kind == world.KindClosedTCP || kind == world.KindClosedUDP {
		port = 7999
	}
	return world.Request{Kind: kind, To: netip.AddrPortFrom(to, port)}
}

func TestEveryKindIsAnsweredByTheDefaultUplink(t *testing.T) {
	w := world.TwoISPs(t)
	serveAll(w.Gateway)
	wire := w.Uplinks[0].Wire.Record()
	for _, to := range w.Uplinks[0].Addrs() {
		for _, kind := range world.Kinds {
			a := w.Client.Send(newRequest(kind, to))
			if !a.OK {
				t.Errorf("%s %s: %v", kind, to, a)
			}
		}
	}
	w.Settle()
	for _, to := range w.Uplinks[0].Addrs() {
		requests := wire.Count(func(p world.Packet) bool { return p.Dir == world.Out && p.To(to) })
		replies := wire.Count(func(p world.Packet) bool { return p.Dir == world.In && p.From(to) })
		if requests < len(world.Kinds) || replies < len(world.Kinds) {
			t.Errorf("%s: %d requests and %d replies on the wire", to, requests, replies)
		}
	}
}

func TestISPDropsRepliesFromAnotherPrefix(t *testing.T) {
	w := world.TwoISPs(t)
	serveAll(w.Gateway)
	right, wrong := w.Uplinks[1].Wire.Record(), w.Uplinks[0].Wire.Record()
	refused := w.Uplinks[0].Refused.Record()
	for _, to := range w.Uplinks[1].Addrs() {
		for _, kind := range world.Kinds {
			q := newRequest(kind, to)
			q.ExpectTimeout, q.Timeout = true, 50*time.Millisecond
			if a := w.Client.Send(q); a.OK || a.From.IsValid() {
				t.Errorf("%s %s: %v", kind, to, a)
			}
		}
	}
	w.Settle()
	for _, to := range w.Uplinks[1].Addrs() {
		fromIt := func(p world.Packet) bool { return p.From(to) && !p.IsDiscovery() }
		if n := right.Count(fromIt); n != 0 {
			t.Errorf("%d answers of %s left by the right uplink", n, to)
		}
		strayed, dropped := wrong.Count(fromIt), refused.Count(fromIt)
		if strayed < len(world.Kinds) || strayed != dropped {
			t.Errorf("%d answers of %s left by the wrong uplink, its ISP refused %d", strayed, to, dropped)
		}
	}
}

func TestRecorderSeesAHandshake(t *testing.T) {
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(7000)
	wire := w.Uplinks[0].Wire.Record(func(p world.Packet) bool { return p.Flags.Is(world.SYN) })
	a := w.Client.Send(world.Request{Kind: world.KindTCP, To: w.Uplinks[0].Port4(7000), From: netip.MustParseAddrPort("203.0.113.10:4444")})
	if !a.OK || a.Host != "gw" || a.Local != w.Uplinks[0].Port4(7000) || a.Peer != netip.MustParseAddrPort("203.0.113.10:4444") {
		t.Fatal(a)
	}
	w.Settle()
	want := []world.Packet{
		{Dir: world.Out, EtherType: 0x800, Family: 4, Proto: world.TCP, Src: w.Client4, Dst: w.Uplinks[0].Addr4,
			Length: 60, DontFrag: true, SrcPort: 4444, DstPort: 7000, Flags: world.SYN, MSS: 1460},
		{Dir: world.In, EtherType: 0x800, Family: 4, Proto: world.TCP, Src: w.Uplinks[0].Addr4, Dst: w.Client4,
			Length: 60, DontFrag: true, SrcPort: 7000, DstPort: 4444, Flags: world.SYN | world.ACK, MSS: 1460},
	}
	got := wire.Packets()
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWaitEndsWithThePacketOrTheContext(t *testing.T) {
	w := world.TwoISPs(t)
	wire := w.Uplinks[0].Wire.Record()
	var sender sync.WaitGroup
	sender.Go(func() { w.Client.Ping(w.Uplinks[0].Addr4) })
	defer sender.Wait()
	request := func(p world.Packet) bool { return p.Proto == world.ICMP && p.ICMPType == 8 }
	if p, err := wire.Wait(t.Context(), request); err != nil || p.Dst != w.Uplinks[0].Addr4 {
		t.Error(p, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if p, err := wire.Wait(ctx, func(world.Packet) bool { return false }); err == nil {
		t.Error(p)
	}
}

func TestThirtyOneUplinks(t *testing.T) {
	began := time.Now()
	w := world.ISPs(t, 31)
	t.Logf("built in %s", time.Since(began))
	for _, a := range w.Uplinks[0].Addrs() {
		if got := w.Client.Ping(a); !got.OK {
			t.Error(a, got)
		}
	}
	last := w.Uplinks[30]
	w.Gateway.Run("ip", "route", "replace", "default", "via", last.Router4.String(), "dev", last.Link.Name)
	w.Gateway.Run("ip", "-6", "route", "replace", "default", "via", "fe80::1", "dev", last.Link.Name)
	for _, a := range last.Addrs() {
		if got := w.Client.Ping(a); !got.OK {
			t.Error(a, got)
		}
	}
	began = time.Now()
	w.Settle()
	t.Logf("settled in %s", time.Since(began))
}
