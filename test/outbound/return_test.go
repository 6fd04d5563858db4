package outbound

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// keepConnected holds a connection to the server, and makes a new one as soon as it is reset, until stop is closed.
func keepConnected(from *world.Host, to netip.Addr, stop <-chan struct{}) {
	for {
		cs, err := from.Connect(box.NewRequest(world.KindTCP, to), 1)
		for err == nil && cs.Alive(time.Minute) == 1 {
			select {
			case <-stop:
				cs.Close()
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		if err == nil {
			cs.Close()
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// A worse tier that fails touches no connection of a better one. When the better one is back, clients that reconnect within
// milliseconds are brought home too, and stay there.
func TestClientsThatReconnectAtOnceComeHome(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	g.probeServer()
	g.outbound(balanced(`[["isp0"], ["isp1"]]`, `failback = "move"`)...)
	s := g.startProbed()
	g.awaitUplink(t, g.LAN, 0)
	held := g.hold(t, g.LAN, 5)
	box.SetBlackHole(g.Uplinks[1], true)
	g.AwaitState(g.Uplinks[1], health.Down)
	wantAlive(t, "the failure of a worse tier", 5, held)
	box.SetBlackHole(g.Uplinks[1], false)
	g.AwaitUp()
	wantAlive(t, "its return", 5, held)
	box.SetBlackHole(g.Uplinks[0], true)
	g.awaitUplink(t, g.LAN, 1)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 3 {
		for _, to := range g.servers() {
			clients.Go(func() { keepConnected(g.LAN, to, stop) })
		}
	}
	for _, family := range []int{4, 6} {
		box.Eventually(t, box.EventualTimeout, "clients have connections by the second uplink", func() bool { return g.pinned(family, 1) >= 3 })
	}
	box.SetBlackHole(g.Uplinks[0], false)
	g.awaitUplink(t, g.LAN, 0)
	g.awaitUnpinned(t, 1)
	for _, family := range []int{4, 6} {
		box.Eventually(t, box.EventualTimeout, "clients have connections by the first uplink", func() bool { return g.pinned(family, 0) >= 3 })
	}
	if n4, n6 := g.pinned(4, 1), g.pinned(6, 1); n4+n6 > 0 {
		t.Errorf("%d and %d connections are by the worse uplink again", n4, n6)
	}
	close(stop)
	clients.Wait()
	g.wantNoForeign(t)
	s.Stop()
}
