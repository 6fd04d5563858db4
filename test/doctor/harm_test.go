package doctor

import (
	"fmt"
	"net/netip"
	"sync"

	"replypath/test/box"
	"replypath/test/world"
)

// harmKinds are the kinds of requests that show whether replies stray.
var harmKinds = []world.Kind{world.KindTCP, world.KindUDP, world.KindPing}

// serveGatewayAndLAN starts servers on the gateway and on the host behind it, whose addresses the second ISP routes to the
// gateway.
func serveGatewayAndLAN(b *box.Box) {
	b.T.Helper()
	for _, h := range []*world.Host{b.Gateway, b.LAN} {
		box.ServeAll(h)
	}
	for _, to := range []netip.Addr{b.LAN4, b.LAN6} {
		b.Delegate(b.Uplinks[1], netip.PrefixFrom(to, to.BitLen()))
	}
}

// brokenReplies returns missing and stray replies to requests by the second uplink, in both families: of the gateway itself, and
// of a host in a network behind it that the ISP routes to it. Empty: nothing. With silence it does not wait long.
func brokenReplies(b *box.Box, p *box.Egress, silence bool) (broken []string) {
	b.T.Helper()
	p.Begin()
	u := b.Uplinks[1]
	all := append(u.Addrs(), b.LAN4, b.LAN6)
	var requests sync.WaitGroup
	var mu sync.Mutex
	for _, to := range all {
		for _, kind := range harmKinds {
			requests.Go(func() {
				q := box.NewRequest(kind, to)
				q.ExpectTimeout = silence
				a := b.Client.Send(q)
				mu.Lock()
				defer mu.Unlock()
				if !a.OK {
					broken = append(broken, fmt.Sprintf("%s to %s: %v", kind, to, a))
				}
			})
		}
	}
	requests.Wait()
	p.Settle()
	for _, to := range all {
		for i := range p.Wires {
			if n := p.Replies(i, to); i != u.Index && n > 0 {
				broken = append(broken, fmt.Sprintf("%d answers from %s left by eth%d", n, to, i))
			}
		}
	}
	return broken
}
