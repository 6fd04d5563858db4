package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// outboundStreams are streams that began inside.
type outboundStreams map[string]*world.Stream

// outboundRate is what each stream carries in a second.
const outboundRate = 256 << 10

// start starts a stream.
func (all outboundStreams) start(t *testing.T, from *world.Host, to netip.AddrPort) {
	t.Helper()
	s, err := from.StreamAt(world.Request{Kind: world.KindTCP, To: to}, outboundRate)
	if err != nil {
		t.Fatal(err)
	}
	all[fmt.Sprintf("of %s to %s", from.Name, to)] = s
}

// startOutbound starts streams of the LAN's host and of the gateway to the server, in both families.
func (g *gateway) startOutbound(t *testing.T) outboundStreams {
	t.Helper()
	all := outboundStreams{}
	for _, to := range g.servers() {
		all.start(t, g.LAN, netip.AddrPortFrom(to, box.ServedPort))
		all.start(t, g.Gateway, netip.AddrPortFrom(to, box.ServedPort))
	}
	return all
}

// wantEnded wants all streams to end.
func (all outboundStreams) wantEnded(t *testing.T) {
	t.Helper()
	for name, s := range all {
		if err := s.Await(t.Context(), 1<<40); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the stream %s: %v", name, err)
		}
	}
}
