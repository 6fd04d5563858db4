package box

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/test/world"
)

// Egress records on the wires of all uplinks, and counts the replies that left by each.
type Egress struct {
	*Box
	Wires []*world.Recorder
	phase world.Phase
}

// RecordEgress records on the ISPs' ends of all uplinks from now on. Late packets of exchanges of before do not count.
func (b *Box) RecordEgress() *Egress {
	p := &Egress{Box: b, phase: b.NewPhase()}
	for _, u := range b.Uplinks {
		p.Wires = append(p.Wires, u.Wire.Record())
	}
	return p
}

// RepliesFrom reports whether a packet on an ISP's end is an answer of the gateway's, from that address to a client.
func RepliesFrom(from netip.Addr) func(world.Packet) bool {
	return func(p world.Packet) bool {
		return p.Dir == world.In && p.From(from) && !p.IsDiscovery()
	}
}

// Begin begins a new phase: replies of exchanges that began earlier, such as segments that TCP sends again, do not count any
// more.
func (p *Egress) Begin() {
	for _, wire := range p.Wires {
		wire.Reset()
	}
	p.phase = p.NewPhase()
}

// Replies returns the number of packets by which the gateway replied from an address by an uplink in this phase.
func (p *Egress) Replies(uplink int, from netip.Addr) int {
	reply := RepliesFrom(from)
	return p.Wires[uplink].Count(func(packet world.Packet) bool { return reply(packet) && !p.phase.Earlier(packet) })
}

// WantSymmetric wants at least n answers from the address by the uplink, and none by another.
func (p *Egress) WantSymmetric(t *testing.T, u *world.Uplink, from netip.Addr, n int) {
	t.Helper()
	for i := range p.Wires {
		left := p.Replies(i, from)
		switch {
		case i == u.Index && left < n:
			t.Errorf("%d answers from %s left by %s, of at least %d", left, from, u.Link.Name, n)
		case i != u.Index && left != 0:
			t.Errorf("%d answers from %s strayed: they left by eth%d", left, from, i)
		}
	}
}

// NewRequest returns of a kind that serve has an answer for.
func NewRequest(kind world.Kind, to netip.Addr) world.Request {
	port := uint16(ServedPort)
	if kind == world.KindClosedTCP || kind == world.KindClosedUDP {
		port = ClosedPort
	}
	return world.Request{Kind: kind, To: netip.AddrPortFrom(to, port)}
}

// ServedPort is the port of the servers, and ClosedPort one without a server.
const (
	ServedPort = 7000
	ClosedPort = 7999
)

// ServeAll answers every kind of request.
func ServeAll(h *world.Host) {
	h.ServeTCP(ServedPort)
	h.ServeUDP(ServedPort, world.Pktinfo)
	h.ServeUDPLite(ServedPort)
	h.ServeRaw()
	h.ServeSCTP(ServedPort)
}

// DNATKinds are the kinds of requests that a DNAT rule for a whole address passes on, and which the host behind it
// answers in a way that comes back translated.
var DNATKinds = []world.Kind{world.KindTCP, world.KindUDP, world.KindPing, world.KindClosedTCP, world.KindClosedUDP, world.KindSCTP}

// WantRepliesFromAll sends requests of every kind to both addresses of every uplink, and wants every reply by its ingress.
func (p *Egress) WantRepliesFromAll(t *testing.T, client *world.Host, kinds []world.Kind) {
	t.Helper()
	p.Begin()
	for _, u := range p.Uplinks {
		for _, to := range u.Addrs() {
			WantReplies(t, client, to, kinds)
		}
	}
	p.Settle()
	for _, u := range p.Uplinks {
		for _, to := range u.Addrs() {
			p.WantSymmetric(t, u, to, len(kinds))
		}
	}
}

// WantReplies sends requests of every kind to one address of an uplink, and wants every reply by it.
func (p *Egress) WantReplies(t *testing.T, client *world.Host, u *world.Uplink, to netip.Addr, kinds []world.Kind) {
	t.Helper()
	p.Begin()
	WantReplies(t, client, to, kinds)
	p.Settle()
	p.WantSymmetric(t, u, to, len(kinds))
}

// WantReplies sends a request of each kind and wants a reply to it.
func WantReplies(t *testing.T, client *world.Host, to netip.Addr, kinds []world.Kind) {
	t.Helper()
	for _, kind := range kinds {
		if a := client.Send(NewRequest(kind, to)); !a.OK {
			t.Errorf("%s to %s: %v", kind, to, a)
		}
	}
}

// Conditions are hosts that replies must find their way on.
type Conditions struct {
	RPFilter  int
	NoDefault bool
}

func (c Conditions) String() string {
	if c.NoDefault {
		return fmt.Sprintf("rp_filter %d without default route in main", c.RPFilter)
	}
	return fmt.Sprintf("rp_filter %d", c.RPFilter)
}

// EachCondition runs the test under every combination of rp_filter and of a default route in table main.
func EachCondition(t *testing.T, test func(t *testing.T, c Conditions)) {
	for _, rp := range []int{0, 1, 2} {
		for _, noDefault := range []bool{false, true} {
			c := Conditions{rp, noDefault}
			t.Run(c.String(), func(t *testing.T) { test(t, c) })
		}
	}
}

// Build makes a world of n uplinks under these conditions.
func (c Conditions) Build(t *testing.T, n int, options world.Options) *world.Internet {
	t.Helper()
	options.NoDefault = c.NoDefault
	w := world.ISPs(t, n, options)
	w.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", fmt.Sprint(c.RPFilter))
	return w
}

// RecordAtClient watches the client's links: packets there have neither tags nor ciphers. The ISPs let pass what strays.
func (b *Box) RecordAtClient() *Egress {
	p := &Egress{Box: b, phase: b.NewPhase()}
	for _, u := range b.Uplinks {
		p.Wires = append(p.Wires, u.ClientLink.Record())
	}
	return p
}
