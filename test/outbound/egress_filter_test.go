package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// detachFilters ends the filters at egress behind the program's back.
func (g *gateway) detachFilters(t *testing.T) {
	t.Helper()
	pins := g.Gateway.Pins("egress", "link_")
	if len(pins) != len(g.Uplinks) {
		t.Fatalf("there are the filters %v, want one for each of %d uplinks", pins, len(g.Uplinks))
	}
	for _, pin := range pins {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Detach(); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

// streams returns sockets of the host inside whose datagrams reach the servers, n for each, and of the client whose datagrams reach the
// host inside by the second uplink.
func (g *gateway) streams(t *testing.T, n int) (all []*net.UDPConn) {
	t.Helper()
	for range n {
		for i, to := range g.servers() {
			inside, inbound := []netip.Addr{g.LAN4, g.LAN6}[i], g.Uplinks[1].Addrs()[i]
			all = append(all, g.Connected(g.LAN, netip.AddrPortFrom(inside, 0), netip.AddrPortFrom(to, box.ServedPort)),
				g.Connected(g.Client, netip.AddrPortFrom(to, 0), netip.AddrPortFrom(inbound, box.ServedPort)))
		}
	}
	for _, socket := range all {
		if err := box.Exchange(socket); err != nil {
			t.Fatalf("%s to %s: %v", socket.LocalAddr(), socket.RemoteAddr(), err)
		}
	}
	return all
}

// flushAll flushes nftables, and with legacy iptables what it does not reach.
func (g *gateway) flushAll(backend string) {
	g.T.Helper()
	g.Shell("nft flush ruleset")
	if backend == box.Backends[1] {
		g.loseTranslation(backend, "neither marks nor any NAT")
	}
}

// foreign returns how many packets with a foreign source the ISPs got.
func (g *gateway) foreign() (n int) {
	g.Settle()
	for i, r := range g.refused {
		n += r.Count(func(p world.Packet) bool { return !g.Uplinks[i].Has(p.Src) })
	}
	return n
}

// While another program flushes nftables again and again, under load and without protect, no packet leaves with a foreign source. What
// was open goes on after each repair, also by an uplink that the policy does not use any more, and inbound by address translation.
func TestNoForeignPacketLeavesWhenNftablesIsFlushed(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		g.AddDNAT(g.LAN4, g.LAN6)
		g.LAN.ServeTCP(box.ServedPort)
		g.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
		g.outbound(balanced(`[["isp1"], ["isp0"]]`)...)
		s := g.Start()
		g.AwaitInSync()
		g.awaitUplink(t, g.LAN, 1)
		held := g.hold(t, g.LAN, 5)
		streams := g.streams(t, 5)
		for _, to := range g.Uplinks[1].Addrs() {
			inbound, err := g.Client.Connect(box.NewRequest(world.KindTCP, to), 5)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, inbound)
		}
		g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
		g.Must(0, "reload")
		g.awaitUplink(t, g.LAN, 0)
		held = append(held, g.hold(t, g.LAN, 5)...)
		end := g.traffic(t)
		load := box.StartDatagrams(streams...)
		for range 10 {
			g.Shell("nft flush ruleset")
			g.awaitRepair(t)
			wantAlive(t, "a flush", 5, held)
			load.Goes(t, 1)
		}
		load.Abandon()
		begun, lost := end()
		// The gateway resets a connection of which it gets a segment that it does not translate back.
		t.Logf("%d of %d connections were not answered", lost, begun)
		if begun < 100 || lost > begun/100 {
			t.Errorf("%d of %d connections were not answered", lost, begun)
		}
		g.wantNoForeign(t)
		s.Stop()
	})
}

// The filters need no service: what another program has flushed is neither answered nor does it leave, until the next apply. They go
// with the translation, and with everything else.
func TestFiltersHoldWithoutAService(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		s := g.Start()
		g.AwaitInSync()
		g.awaitUplink(t, g.LAN, 0)
		s.Kill()
		g.flushAll(backend)
		send := func(answered bool) {
			t.Helper()
			for _, to := range g.servers() {
				for _, kind := range []world.Kind{world.KindUDP, world.KindTCP, world.KindPing} {
					q := box.NewRequest(kind, to)
					q.ExpectTimeout, q.Timeout = !answered, map[bool]time.Duration{true: 20 * time.Second, false: 300 * time.Millisecond}[answered]
					if a := g.LAN.Send(q); a.OK != answered {
						t.Errorf("%s to %s: %v", kind, to, a)
					}
				}
			}
		}
		send(false)
		g.wantNoForeign(t)
		g.detachFilters(t)
		send(false)
		if g.foreign() == 0 {
			t.Error("without the filters nothing leaves either")
		}
		g.Apply()
		g.Settle()
		for _, r := range g.refused {
			r.Reset()
		}
		send(true)
		g.flushAll(backend)
		send(false)
		g.Apply()
		send(true)
		g.wantNoForeign(t)
		for _, outbound := range [][]string{{`default = "isp0"`}, nil} {
			g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
			g.Apply()
			if pins := g.Gateway.Pins("egress", ""); len(pins) == 0 {
				t.Error("there are no filters")
			}
			if outbound == nil {
				g.Must(0, "flush")
			} else {
				g.outbound(outbound...)
				g.Apply()
			}
			if pins := g.Gateway.Pins("egress", ""); len(pins) > 0 {
				t.Errorf("%v: left of the filters: %v", outbound, pins)
			}
		}
	})
}

// What connection tracking calls invalid is not translated: the last packets of connections that it does not know. They do not leave.
func TestInvalidPacketsFromInsideDoNotLeave(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		s := g.Start()
		g.AwaitInSync()
		for _, filtered := range []bool{true, false} {
			if !filtered {
				g.wantDropsShown(t)
				s.Stop()
				g.detachFilters(t)
			}
			g.awaitUplink(t, g.LAN, 0)
			held := g.hold(t, g.LAN, 3)
			for _, family := range []string{"ipv4", "ipv6"} {
				g.Gateway.Run("conntrack", "-D", "-f", family, "-p", "tcp")
			}
			inside := g.LANLink.Record()
			for _, cs := range held {
				cs.Close()
			}
			for _, to := range g.servers() {
				box.Eventually(t, box.EventualTimeout, fmt.Sprintf("the host inside ends its connections to %s", to), func() bool {
					return inside.Count(func(p world.Packet) bool { return p.To(to) && p.Flags&world.FIN != 0 }) >= 3
				})
			}
			if n := g.foreign(); (n > 0) == filtered {
				t.Errorf("with filters %t: the ISPs got %d packets with a foreign source", filtered, n)
			}
		}
	})
}

// wantDropsShown wants that the status and the metrics of the service show what the filter of the first uplink has dropped in each family,
// and that of the second nothing.
func (g *gateway) wantDropsShown(t *testing.T) {
	t.Helper()
	var shown []health.OutboundFilterStatus
	box.Eventually(t, box.EventualTimeout, "the status shows 3 packets that the filter has dropped in each family", func() bool {
		shown = g.ServiceStatus().Outbound.Filters
		return len(shown) == 4 && shown[0].Dropped >= 3 && shown[1].Dropped >= 3
	})
	if shown[0].Interface != "eth0" || shown[0].Family == shown[1].Family || shown[2].Dropped+shown[3].Dropped > 0 {
		t.Errorf("the status shows %+v", shown)
	}
}

// wantEarlierProgramNamed attaches a program of another service before the filter of the first uplink, which accepts all packets: they
// leave, and doctor names the program until it is behind the filter. send sends packets that the filter drops.
func (g *gateway) wantEarlierProgramNamed(t *testing.T, send func()) {
	t.Helper()
	const accept, finding = 0, "program-before-ours"
	detach := box.AttachProgram(t, g.Gateway, "eth0", "accept_all", ebpf.AttachTCXEgress, link.Head(), accept)
	send()
	if g.foreign() == 0 {
		t.Error("nothing passes the filter that another program has accepted before it")
	}
	g.WantFinding(g.RunDoctor(), box.IsWarning, finding, "filter at the egress of eth0", "accept_all", "restart that service")
	detach()
	box.AttachProgram(t, g.Gateway, "eth0", "accept_all", ebpf.AttachTCXEgress, link.Tail(), accept)
	for _, r := range g.refused {
		r.Reset()
	}
	send()
	g.wantNoForeign(t)
	if d := g.RunDoctor(); len(d.Of(finding)) > 0 {
		t.Errorf("the program is behind the filter, and still: %s", d)
	}
}

// A packet with a mark, of whichever program, passes the filters. One that another program accepts before them does too, which doctor says.
func TestFiltersPassPacketsWithAnyMark(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		g.Apply()
		g.awaitUplink(t, g.LAN, 0)
		g.flushAll(backend)
		if pins := g.Gateway.Pins("egress", "link_"); len(pins) != 2 {
			t.Errorf("the filters are %v", pins)
		}
		send := func() {
			for _, to := range g.servers() {
				q := box.NewRequest(world.KindUDP, to)
				q.ExpectTimeout, q.Timeout = true, 300*time.Millisecond
				g.LAN.Send(q)
			}
		}
		send()
		g.wantNoForeign(t)
		g.wantEarlierProgramNamed(t, send)
		for _, command := range []string{"iptables-nft", "ip6tables-nft"} {
			g.Gateway.Run(command, "-w", "-t", "mangle", "-A", "FORWARD", "-j", "MARK", "--set-xmark", "0x80000000/0x80000000")
		}
		send()
		for _, to := range g.servers() {
			if g.refused[0].Count(func(p world.Packet) bool { return p.To(to) }) == 0 {
				t.Errorf("packets to %s with the mark of another program do not leave", to)
			}
		}
	})
}
