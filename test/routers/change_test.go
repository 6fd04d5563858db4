package routers

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// load are requests by one router, one after the other in each family, and streams that are open all the time.
type load struct {
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	streams []*world.Stream
	tokens  chan struct{} // one for each request

	mu     sync.Mutex
	done   int
	failed []string
}

// maxRequests is the number of requests from one call of awaitRequests to the next. All those of a world are fewer than it has ports for
// them, as the streams keep theirs.
const maxRequests = 800

// startLoad begins requests by the router to a port of the gateway. Each one waits for its reply as a client does: what is lost is
// sent again.
func (o *office) startLoad(t *testing.T, r *router, port uint16) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, tokens: make(chan struct{}, maxRequests)}
	l.allowRequests()
	for _, to := range o.to() {
		at := netip.AddrPortFrom(to, port)
		s, err := r.Client.Stream(world.Request{Kind: world.KindTCP, To: at})
		if err != nil {
			t.Fatal(err)
		}
		l.streams = append(l.streams, s)
		for _, kind := range []world.Kind{world.KindTCP, world.KindUDP} {
			l.ended.Go(func() {
				for {
					select {
					case <-ctx.Done():
						return
					case <-l.tokens:
						l.record(kind, to, r.Client.Send(world.Request{Kind: kind, To: at}))
					}
				}
			})
		}
	}
	t.Cleanup(func() { cancel(); l.ended.Wait() })
	return l
}

func (l *load) record(kind world.Kind, to netip.Addr, a world.Reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	if !a.OK {
		l.failed = append(l.failed, fmt.Sprintf("%s to %s: %v", kind, to, a))
	}
}

// requests returns how many requests have ended.
func (l *load) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// allowRequests allows maxRequests from now on.
func (l *load) allowRequests() {
	for {
		select {
		case l.tokens <- struct{}{}:
		default:
			return
		}
	}
}

// awaitRequests waits until more requests have ended, and allows others.
func (l *load) awaitRequests(t *testing.T) {
	t.Helper()
	before := l.requests()
	l.allowRequests()
	defer l.allowRequests()
	box.Eventually(t, box.EventualTimeout, "requests are answered", func() bool { return l.requests() >= before+20 })
}

// wantUndisturbed stops the load, and wants a reply to each request, and streams that go on.
func (l *load) wantUndisturbed(t *testing.T) {
	t.Helper()
	for _, s := range l.streams {
		if err := s.Await(t.Context(), 1<<20); err != nil {
			t.Error(err)
		}
	}
	l.cancel()
	l.ended.Wait()
	for _, text := range l.failed {
		t.Error(text)
	}
	var stalls []string
	for _, s := range l.streams {
		stalls = append(stalls, box.RoundDuration(s.Stats().Stall).String())
	}
	t.Logf("%d requests; the streams stalled for %s at most", l.done, strings.Join(stalls, ", "))
}

// laterPort is the port of the servers that are asked once the neighbour entries have changed.
const laterPort = 7100

// TestRouterChangesUnderLoad changes a router's hardware address while requests come in by it. What began before is answered. What
// begins once the neighbour entries have changed is answered at the first try, and none of its packets leaves by the other router,
// before the rules follow and after. Packets are counted, and no time is bounded, which a busy machine stretches.
func TestRouterChangesUnderLoad(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		o.Gateway.ServeTCP(laterPort)
		o.Gateway.ServeUDP(laterPort, world.Pktinfo)
		early, late := o.Routers[0].countStrays(cable, box.ServedPort), o.Routers[0].countStrays(cable, laterPort)
		l := o.startLoad(t, cable, box.ServedPort)
		l.awaitRequests(t)
		if n := early.packets(t); n > 0 {
			t.Errorf("%d packets leave by the other router before the change", n)
		}
		cable.setMAC("02:00:00:0b:03:01")
		o.awaitNeighbour(t, cable)
		after := o.startLoad(t, cable, laterPort)
		for _, to := range o.to() {
			for _, kind := range []world.Kind{world.KindUDP, world.KindPing} {
				q := world.Request{Kind: kind, To: netip.AddrPortFrom(to, laterPort), NoResend: true}
				if a := cable.Client.Send(q); !a.OK {
					t.Errorf("after the change, %s to %s: %v", kind, to, a)
				}
			}
		}
		o.awaitRouter(t, cable.MAC)
		l.awaitRequests(t)
		l.wantUndisturbed(t)
		after.awaitRequests(t)
		after.wantUndisturbed(t)
		t.Logf("%d packets of connections that began before the change was known have left by the other router", early.packets(t))
		if n := late.packets(t); n > 0 {
			t.Errorf("%d packets of connections that began later have left by the other router", n)
		}
	})
}
