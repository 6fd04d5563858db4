//go:build modules

package reply

import (
	"net"
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// accelerated is a gateway whose connections go by its flow table, with streams of TCP and connections of UDP through it by the
// second uplink, in both families, with translated addresses and without.
type accelerated struct {
	*box.Box
	streams map[netip.Addr]*world.Stream
	sockets []*net.UDPConn
	strays  []*world.Recorder
}

// accelerate applies the configuration of the box, and records what strays from now on.
func accelerate(b *box.Box) *accelerated {
	b.T.Helper()
	b.Gateway.Run("nft", "add table inet see; add chain inet see f { type filter hook forward priority 0; }; add rule inet see f meta l4proto tcp counter; add rule inet see f meta l4proto udp counter")
	b.Apply()
	a := &accelerated{Box: b, streams: map[netip.Addr]*world.Stream{}}
	for _, u := range b.Uplinks {
		// What is sent to others than the client is a reply to a request of a proof that a killed service left.
		a.strays = append(a.strays, u.Refused.Record(func(p world.Packet) bool { return box.Stray(p) && (p.To(b.Client4) || p.To(b.Client6)) }))
	}
	return a
}

// connect opens connections to the addresses, and waits until they are accelerated.
func (a *accelerated) connect(t *testing.T, addresses ...netip.Addr) {
	t.Helper()
	a.open(t, addresses...)
	a.wantAccelerated(t)
}

// streamPace is how many bytes a stream carries in a second, each way.
const streamPace = 1 << 19

// open opens a stream of TCP and a connection of UDP to each address.
func (a *accelerated) open(t *testing.T, addresses ...netip.Addr) {
	t.Helper()
	for _, to := range addresses {
		stream, err := a.Client.StreamAt(box.NewRequest(world.KindTCP, to), streamPace)
		if err != nil {
			t.Fatal(err)
		}
		a.streams[to] = stream
		a.sockets = append(a.sockets, a.Connected(a.Client, netip.AddrPortFrom(a.ClientAddr(to), 0), netip.AddrPortFrom(to, box.ServedPort)))
	}
}

// wantAlive wants every stream to have lived until now.
func (a accelerated) wantAlive(t *testing.T) {
	t.Helper()
	for to, stream := range a.streams {
		if c := stream.Stop(); c.Reset || c.Err != nil {
			t.Errorf("stream to %s: reset %v, ended by %v", to, c.Reset, c.Err)
		}
	}
}
