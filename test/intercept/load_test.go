package intercept

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// load is requests from the LAN, one after the other in each of several lines, until it is stopped.
type load struct {
	mu   sync.Mutex
	done []loadedRequest
	line map[int]map[string]int // answers of each line, by host
	stop chan struct{}
	wait sync.WaitGroup
}

type loadedRequest struct {
	began time.Time
	reply world.Reply
}

// loadTimeout bounds a request under load: TCP repeats a SYN that was dropped.
const loadTimeout = 20 * time.Second

// loadInterval is the least time from one request of a line to the next: each takes a port of the LAN host.
const loadInterval = 25 * time.Millisecond

// startLoad sends requests to the services.
func (p *proxied) startLoad(services ...netip.AddrPort) *load {
	l := &load{line: map[int]map[string]int{}, stop: make(chan struct{})}
	for n, to := range append(services, services...) {
		l.line[n] = map[string]int{}
		l.wait.Go(func() {
			pace := time.NewTicker(loadInterval)
			defer pace.Stop()
			for {
				select {
				case <-l.stop:
					return
				case <-pace.C:
				}
				began := time.Now()
				reply := p.LAN.Send(world.Request{Kind: world.KindTCP, To: to, Timeout: loadTimeout})
				if errors.Is(reply.Err, unix.EADDRINUSE) {
					continue // nothing was sent: the port's connection of some seconds ago is in TIME-WAIT still
				}
				l.mu.Lock()
				l.done = append(l.done, loadedRequest{began, reply})
				if reply.OK {
					l.line[n][reply.Host]++
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

// await waits until every line has n more answers of the host.
func (l *load) await(t *testing.T, host string, n int) {
	t.Helper()
	count := func() (all []int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range len(l.line) {
			all = append(all, l.line[i][host])
		}
		return all
	}
	before := count()
	box.Eventually(t, box.EventualTimeout, "answers of "+host, func() bool {
		for i, now := range count() {
			if now < before[i]+n {
				return false
			}
		}
		return true
	})
}

// end stops the load and returns all requests.
func (l *load) end() []loadedRequest {
	close(l.stop)
	l.wait.Wait()
	return l.done
}

// The kill ends the connections that the proxy has; all that begin afterwards are answered, and those that are not intercepted
// notice nothing.
func TestProxyKilledUnderLoadLosesNoLaterConnection(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.startProxies()
		p.Start()
		p.awaitProxies(t, "out", uplinks.ProxyListening)
		web := []netip.AddrPort{netip.AddrPortFrom(p.Client4, webPort), netip.AddrPortFrom(p.Client6, webPort)}
		others := []netip.AddrPort{netip.AddrPortFrom(p.Client4, notIntercepted), netip.AddrPortFrom(p.Client6, notIntercepted)}
		var held []func() error
		for _, to := range others {
			held = append(held, p.hold(t, to))
		}
		intercepted, beside := p.startLoad(web...), p.startLoad(others...)
		intercepted.await(t, byProxy+p.Client.Name, 5)
		killed := time.Now()
		p.out.close()
		killedAt := time.Now()
		intercepted.await(t, p.Client.Name, 5)
		p.out = startProxy(t, p.Gateway, "tcp", outPort, nil)
		intercepted.await(t, byProxy+p.Client.Name, 5)
		beside.await(t, p.Client.Name, 1)
		for _, r := range intercepted.end() {
			if r.began.After(killedAt) && !r.reply.OK {
				t.Errorf("a connection that began %v after the kill: %v", r.began.Sub(killed), r.reply)
			}
		}
		for _, r := range beside.end() {
			if !r.reply.OK {
				t.Errorf("a connection that is not intercepted: %v", r.reply)
			}
		}
		for i, exchange := range held {
			if err := exchange(); err != nil {
				t.Errorf("%s: %v", others[i], err)
			}
		}
	})
}

// wantNoDatagramAnswered wants that datagrams of the LAN which are intercepted get no answer.
func (p *proxied) wantNoDatagramAnswered(t *testing.T) {
	t.Helper()
	for _, to := range []netip.Addr{p.Client4, p.Client6} {
		if a := p.LAN.Send(world.Request{Kind: world.KindUDP, To: netip.AddrPortFrom(to, dnsPort), Timeout: 200 * time.Millisecond}); a.OK {
			t.Errorf("a datagram to %s is answered: %v", to, a)
		}
	}
}

func TestProxyKilledUnderLoadLetsNothingOutWithDrop(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newDropping(t, backend)
		p.startProxies()
		p.Start()
		p.awaitProxies(t, "out", uplinks.ProxyListening)
		intercepted := p.startLoad(netip.AddrPortFrom(p.Client4, webPort), netip.AddrPortFrom(p.Client6, webPort))
		intercepted.await(t, byProxy+p.Client.Name, 5)
		p.out.close()
		p.dns.close()
		opened := func(q world.Packet) bool {
			return q.DstPort == dnsPort || q.DstPort == webPort && q.Flags.Is(world.SYN) && !q.Flags.Is(world.ACK)
		}
		wires := p.RecordEgress()
		p.wantNoDatagramAnswered(t)
		wires.Settle()
		p.awaitProxies(t, "out", uplinks.ProxyNobody)
		p.awaitProxies(t, "out_dns", uplinks.ProxyNobody)
		p.wantNoDatagramAnswered(t)
		p.ask(t, p.LAN, world.KindTCP, netip.AddrPortFrom(p.Client4, notIntercepted).String(), 0, p.Client.Name)
		wires.Settle()
		for i, w := range wires.Wires {
			if n := w.Count(opened); n > 0 {
				t.Errorf("%d connections went out by isp%d without the proxy", n, i)
			}
		}
		p.out = startProxy(t, p.Gateway, "tcp", outPort, nil)
		intercepted.await(t, byProxy+p.Client.Name, 2)
		for _, r := range intercepted.end() {
			if r.reply.OK && r.reply.Host != byProxy+p.Client.Name {
				t.Errorf("answered by %s", r.reply.Host)
			}
		}
	})
}
