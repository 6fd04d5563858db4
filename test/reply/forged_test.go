package reply

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The address of a LAN host, which no host outside may use as a source.
const (
	insider4 = "198.18.0.77"
	insider6 = "2001:db8:f::77"
)

// forgeableKinds are the kinds of requests of which one packet is enough to be answered.
var forgeableKinds = []world.Kind{world.KindTCP, world.KindUDP, world.KindPing, world.KindRaw, world.KindSCTP}

// The marks make replies to any source possible by the ingress uplink. They must not make the source check
// believe that the LAN is out there.
func TestForgedLANSourceIsDropped(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, table := range []string{"raw", "mangle"} {
			t.Run("with IPv6's source check in "+table, func(t *testing.T) {
				refuseForged(t, box.Conditions{RPFilter: 1}, backend, table)
			})
		}
	})
	t.Run("without default route in main", func(t *testing.T) {
		refuseForged(t, box.Conditions{RPFilter: 1, NoDefault: true}, box.Backends[0], "mangle")
	})
}

func refuseForged(t *testing.T, c box.Conditions, backend, table string) {
	b := newForgery(t, c, backend)
	b.Iptables(6, "-t", table, "-A", "PREROUTING", "-i", "eth+", "-m", "rpfilter", "--validmark", "--invert", "-j", "DROP")
	b.Apply()
	inside := b.LANLink.Record()
	sendAllForged(b)
	b.Settle()
	for _, p := range insiders(inside) {
		t.Errorf("an answer to a forged question went inside, or the question itself: %s", p)
	}
	if n := admitted(b); n != 0 {
		t.Errorf("%d forged questions to the gateway were delivered", n)
	}
	p := b.RecordEgress()
	p.WantRepliesFromAll(t, b.Client, world.Kinds)
	b.AddDNAT(b.LAN4, b.LAN6)
	sendAllForged(b)
	b.Settle()
	for _, p := range insiders(inside) {
		t.Errorf("a forged question was forwarded: %s", p)
	}
	p.WantRepliesFromAll(t, b.Client, box.DNATKinds)
}

// Without the source check nothing keeps the forged packets out: what TestForgedLANSourceIsDropped looks for
// can be seen.
func TestForgedLANSourcePassesWithoutRPFilter(t *testing.T) {
	t.Parallel()
	b := newForgery(t, box.Conditions{}, box.Backends[0])
	b.Apply()
	inside := b.LANLink.Record()
	sendAllForged(b)
	b.Settle()
	for _, a := range []string{insider4, insider6} {
		address := netip.MustParseAddr(a)
		if inside.Count(func(p world.Packet) bool { return p.To(address) }) == 0 {
			t.Errorf("no answer to a question that was forged as %s went inside", a)
		}
	}
	if admitted(b) == 0 {
		t.Error("no forged question was delivered")
	}
	b.AddDNAT(b.LAN4, b.LAN6)
	sendAllForged(b)
	b.Settle()
	for _, a := range []string{insider4, insider6} {
		address := netip.MustParseAddr(a)
		if inside.Count(func(p world.Packet) bool { return p.Dir == world.Out && p.From(address) }) == 0 {
			t.Errorf("no question that was forged as %s was forwarded", a)
		}
	}
}

// newForgery returns a box that serves, whose LAN has the insider, and which counts packets with the insider's source.
func newForgery(t *testing.T, c box.Conditions, backend string) *box.Box {
	t.Helper()
	b := box.New(t, c.Build(t, 2, world.Options{}), backend)
	box.ServeAll(b.Gateway)
	box.ServeAll(b.LAN)
	b.LANLink.Peer.Addr(insider4+"/24", insider6+"/64")
	for source, to := range map[string]string{insider4: "198.18.0.1", insider6: "2001:db8:f::1"} {
		// An answer that goes astray inside must not be lost for want of a neighbour.
		from, at := netip.MustParseAddr(source), netip.MustParseAddr(to)
		q := world.Request{Kind: world.KindTCP, From: netip.AddrPortFrom(from, 0), To: netip.AddrPortFrom(at, box.ServedPort)}
		if a := b.LAN.Send(q); !a.OK {
			t.Fatalf("the insider itself: %v", a)
		}
		b.Iptables(box.FamilyOf(from), "-A", "INPUT", "-s", source, "-i", "eth+")
	}
	return b
}

// sendAllForged sends a request of every kind, with the insider's address, to both addresses of every uplink: from the
// Internet and from the ISP.
func sendAllForged(b *box.Box) {
	b.T.Helper()
	port := uint16(20000)
	for _, u := range b.Uplinks {
		for _, to := range u.Addrs() {
			source := netip.MustParseAddr(map[int]string{4: insider4, 6: insider6}[box.FamilyOf(to)])
			for _, kind := range forgeableKinds {
				for _, forger := range []*world.Host{b.Client, u.ISP} {
					port++
					q := box.NewRequest(kind, to)
					q.From = netip.AddrPortFrom(source, port)
					forger.Forge(q)
				}
			}
		}
	}
}

// insiders returns the packets with the insider's address, without those by which the LAN host asks whether the gateway is still there,
// seconds after it has last spoken to it (RFC 4861, 7.3.3).
func insiders(r *world.Recorder) (all []world.Packet) {
	for _, p := range r.Packets() {
		for _, a := range []string{insider4, insider6} {
			if address := netip.MustParseAddr(a); !p.IsDiscovery() && (p.From(address) || p.To(address)) {
				all = append(all, p)
			}
		}
	}
	return all
}

// admitted returns the number of packets from an uplink that claimed to be the insider's and were delivered to the gateway.
func admitted(b *box.Box) int {
	b.T.Helper()
	n := 0
	for _, family := range []int{4, 6} {
		line := b.Iptables(family, "-S", "INPUT", "1", "-v")
		if !strings.Contains(line, " -c 0 0") {
			n++
		}
	}
	return n
}
