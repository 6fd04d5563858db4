package test

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/test/world"
)

// egress watches the wires of all uplinks, and says afterwards by which of them the answers left.
type egress struct {
	*box
	wires []*world.Recorder
}

func (b *box) recordEgress() *egress {
	p := &egress{box: b}
	for _, u := range b.Uplinks {
		p.wires = append(p.wires, u.Wire.Record())
	}
	return p
}

// repliesFrom tells whether a packet on an ISP's end is an answer of the gateway's, from that address to a client.
func repliesFrom(from netip.Addr) func(world.Packet) bool {
	return func(p world.Packet) bool {
		discovery := p.Proto == world.ICMPv6 && p.ICMPType >= 133 && p.ICMPType <= 137
		return p.Dir == world.In && p.From(from) && !discovery
	}
}

// wantSymmetric wants at least n answers from the address by the uplink, and none by another.
func (p *egress) wantSymmetric(t *testing.T, u *world.Uplink, from netip.Addr, n int) {
	t.Helper()
	for i, wire := range p.wires {
		left := wire.Count(repliesFrom(from))
		switch {
		case i == u.Index && left < n:
			t.Errorf("%d answers from %s left by %s, of at least %d", left, from, u.Link.Name, n)
		case i != u.Index && left != 0:
			t.Errorf("%d answers from %s strayed: they left by eth%d", left, from, i)
		}
	}
}

// settle waits until the recorders have seen everything that was sent before, and gives what empties them.
func (p *egress) settle() (reset func()) {
	p.Settle()
	return func() {
		for _, wire := range p.wires {
			wire.Reset()
		}
	}
}

// newRequest is of a kind that serve has an answer for.
func newRequest(kind world.Kind, to netip.Addr) world.Request {
	port := uint16(servedPort)
	if kind == world.KindClosedTCP || kind == world.KindClosedUDP {
		port = closedPort
	}
	return world.Request{Kind: kind, To: netip.AddrPortFrom(to, port)}
}

const (
	servedPort = 7000
	closedPort = 7999
)

// serveAll answers every kind of question.
func serveAll(h *world.Host) {
	h.ServeTCP(servedPort)
	h.ServeUDP(servedPort, world.Pktinfo)
	h.ServeUDPLite(servedPort)
	h.ServeRaw()
	h.ServeSCTP(servedPort)
}

// dnatKinds are the kinds of questions that a DNAT rule for a whole address passes on, and which the host behind it
// answers in a way that comes back translated.
var dnatKinds = []world.Kind{world.KindTCP, world.KindUDP, world.KindPing, world.KindClosedTCP, world.KindClosedUDP, world.KindSCTP}

// wantRepliesFromAll asks every kind of question at both addresses of every uplink, and wants every answer by its ingress.
func (p *egress) wantRepliesFromAll(t *testing.T, client *world.Host, kinds []world.Kind) {
	t.Helper()
	for _, u := range p.Uplinks {
		for _, to := range u.Addrs() {
			wantReplies(t, client, to, kinds)
		}
	}
	defer p.settle()()
	for _, u := range p.Uplinks {
		for _, to := range u.Addrs() {
			p.wantSymmetric(t, u, to, len(kinds))
		}
	}
}

// wantReplies asks every kind of question at one address of an uplink.
func (p *egress) wantReplies(t *testing.T, client *world.Host, u *world.Uplink, to netip.Addr, kinds []world.Kind) {
	t.Helper()
	wantReplies(t, client, to, kinds)
	defer p.settle()()
	p.wantSymmetric(t, u, to, len(kinds))
}

func wantReplies(t *testing.T, client *world.Host, to netip.Addr, kinds []world.Kind) {
	t.Helper()
	for _, kind := range kinds {
		if a := client.Send(newRequest(kind, to)); !a.OK {
			t.Errorf("%s to %s: %v", kind, to, a)
		}
	}
}

// conditions are hosts that replies must find their way on.
type conditions struct {
	rpFilter  int
	noDefault bool
}

func (c conditions) String() string {
	if c.noDefault {
		return fmt.Sprintf("rp_filter %d without default route in main", c.rpFilter)
	}
	return fmt.Sprintf("rp_filter %d", c.rpFilter)
}

func eachCondition(t *testing.T, test func(t *testing.T, c conditions)) {
	for _, rp := range []int{0, 1, 2} {
		for _, noDefault := range []bool{false, true} {
			c := conditions{rp, noDefault}
			t.Run(c.String(), func(t *testing.T) { test(t, c) })
		}
	}
}

// build makes a world of n uplinks under these conditions.
func (c conditions) build(t *testing.T, n int, options world.Options) *world.Internet {
	t.Helper()
	options.NoDefault = c.noDefault
	w := world.ISPs(t, n, options)
	w.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", fmt.Sprint(c.rpFilter))
	return w
}
