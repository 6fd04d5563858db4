package test

import (
	"fmt"
	"net/netip"
	"sync"

	"replypath/test/world"
)

// asked are the kinds of questions that tell whether replies go wrong.
var asked = []world.Kind{world.AskTCP, world.AskUDP, world.AskPing}

// served has the gateway and the host behind it answer, whose addresses the second uplink's ISP routes to the gateway.
func (b *box) served() {
	b.t.Helper()
	for _, h := range []*world.Host{b.Gateway, b.LAN} {
		serve(h)
	}
	for _, to := range []netip.Addr{b.LAN4, b.LAN6} {
		b.Delegate(b.Uplinks[1], netip.PrefixFrom(to, to.BitLen()))
	}
}

// harmed tells what is wrong with answers to questions by the second uplink, in both families: of the gateway itself, and
// of a host in a network behind it that the ISP routes to it. Empty: nothing. With silence it does not wait long.
func (b *box) harmed(p *proof, silence bool) (wrong []string) {
	b.t.Helper()
	p.settled()() // of what was asked before, TCP may have sent something again
	u := b.Uplinks[1]
	all := append(u.Addrs(), b.LAN4, b.LAN6)
	var asking sync.WaitGroup
	var mu sync.Mutex
	for _, to := range all {
		for _, kind := range asked {
			asking.Go(func() {
				q := question(kind, to)
				q.Silence = silence
				a := b.Client.Ask(q)
				mu.Lock()
				defer mu.Unlock()
				if !a.OK {
					wrong = append(wrong, fmt.Sprintf("%s to %s: %v", kind, to, a))
				}
			})
		}
	}
	asking.Wait()
	defer p.settled()()
	for _, to := range all {
		for i, wire := range p.wires {
			if n := wire.Count(answers(to)); i != u.Index && n > 0 {
				wrong = append(wrong, fmt.Sprintf("%d answers from %s left by eth%d", n, to, i))
			}
		}
	}
	return wrong
}
