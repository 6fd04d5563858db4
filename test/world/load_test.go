package world_test

import (
	"net/netip"
	"testing"
	"time"

	"replypath/test/world"
)

func TestStreamAndConnectionsReportTheServerClosing(t *testing.T) {
	w := world.TwoISPs(t)
	service := w.Gateway.ServeTCP(7000)
	q := world.Request{To: w.Uplinks[0].Port6(7000)}
	s, err := w.Client.Stream(q)
	if err != nil {
		t.Fatal(err)
	}
	conns, err := w.Client.Connect(q, 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Await(t.Context(), 10<<20); err != nil {
		t.Fatal(err)
	}
	if n := conns.Alive(time.Minute); n != 20 {
		t.Errorf("%d of 20 alive", n)
	}
	if c := s.Stats(); c.Err != nil || c.Received < 10<<20 || c.Sent < c.Received {
		t.Errorf("%+v", c)
	}
	service.Close()
	if err := s.Await(t.Context(), 1<<40); err == nil {
		t.Error("the stream goes on without its service")
	}
	if c := s.Stop(); c.Err == nil {
		t.Errorf("%+v", c)
	}
	if n := conns.Alive(5 * time.Second); n != 0 {
		t.Errorf("%d alive", n)
	}
}

func TestForgedPacketsCarryTheirSource(t *testing.T) {
	w := world.TwoISPs(t)
	wire := w.Uplinks[1].Link.Record()
	for _, c := range []struct{ from, to netip.Addr }{
		{netip.MustParseAddr("198.18.0.77"), w.Uplinks[1].Addr4},
		{netip.MustParseAddr("2001:db8:f::77"), w.Uplinks[1].Addr6},
	} {
		for i, host := range []*world.Host{w.Client, w.Uplinks[1].ISP} {
			for _, kind := range []world.Kind{world.KindTCP, world.KindUDP, world.KindPing, world.KindRaw, world.KindSCTP} {
				host.Forge(world.Request{Kind: kind, From: netip.AddrPortFrom(c.from, 4000), To: netip.AddrPortFrom(c.to, 7000)})
			}
			w.Settle()
			if n := wire.Count(func(p world.Packet) bool { return p.Dir == world.In && p.From(c.from) && p.To(c.to) }); n != 5*(i+1) {
				t.Errorf("%d of %d forged packets came from %s", n, 5*(i+1), host.Name)
			}
		}
	}
}

func TestForgedPacketsAreValid(t *testing.T) {
	w := world.TwoISPs(t)
	wire := w.Uplinks[0].Link.Record()
	from := []netip.Addr{w.Client4, w.Client6}
	for i, to := range w.Uplinks[0].Addrs() {
		for _, kind := range []world.Kind{world.KindTCP, world.KindUDP, world.KindPing} {
			w.Client.Forge(world.Request{Kind: kind, From: netip.AddrPortFrom(from[i], 4000), To: netip.AddrPortFrom(to, 7999)})
		}
		w.Settle()
		if n := wire.Count(func(p world.Packet) bool { return p.Dir == world.Out && p.From(to) && p.To(from[i]) }); n != 3 {
			t.Errorf("%d of 3 were answered by %s: %v", n, to, wire.Packets())
		}
	}
}

func TestNarrowHopSendsPacketTooBig(t *testing.T) {
	w := world.TwoISPs(t, world.Options{Narrow: map[int]int{0: 1300}})
	serveAll(w.Gateway)
	wire := w.Uplinks[0].Wire.Record()
	for _, to := range []netip.AddrPort{w.Uplinks[0].Port4(7000), w.Uplinks[0].Port6(7000)} {
		tooBig := func(p world.Packet) bool { return p.Dir == world.Out && p.To(to.Addr()) && p.ICMPMTU == 1300 }
		a := w.Client.Send(world.Request{Kind: world.KindUDP, To: to, Size: 1400})
		if !a.OK || a.Size != 1400 {
			t.Error(to, a)
		}
		if wire.Count(tooBig) == 0 {
			t.Errorf("%s: the ISP did not say that the packet is too big", to)
		}
		if a := w.Client.Transfer(world.Request{To: to}, 1<<20); !a.OK {
			t.Error(to, a)
		}
	}
}

func TestNeighboursAndSecondAddresses(t *testing.T) {
	w := world.TwoISPs(t, world.Options{Neighbours: []int{1}, SecondAddr: []int{0}})
	serveAll(w.Gateway)
	for _, to := range []netip.Addr{w.Uplinks[1].Addr4, w.Uplinks[1].Addr6} {
		if a := w.Uplinks[1].Neighbour.Send(newRequest(world.KindUDP, to)); !a.OK {
			t.Error(to, a)
		}
	}
	for _, to := range []netip.Addr{w.Uplinks[0].Second4, w.Uplinks[0].Second6} {
		if a := w.Client.Send(newRequest(world.KindTCP, to)); !a.OK {
			t.Error(to, a)
		}
	}
	w.Settle()
}

func TestEveryUDPServerModeReplies(t *testing.T) {
	w := world.TwoISPs(t)
	for port, manner := range map[uint16]world.UDPMode{1: world.Pktinfo, 2: world.Wildcard, 3: world.Connect} {
		w.Gateway.ServeUDP(port, manner)
		for _, to := range w.Uplinks[0].Addrs() {
			// Without packet information a service does not know the destination of a request.
			if a := w.Client.UDP(netip.AddrPortFrom(to, port)); !a.OK || a.Local.Addr().IsUnspecified() == (manner == world.Pktinfo) {
				t.Error(manner, to, a)
			}
		}
	}
}
