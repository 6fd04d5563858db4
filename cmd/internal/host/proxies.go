package host

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// proxySettleTime is how long a proxy that has come back must listen before it is taken into use: one that crashes at once
// would otherwise break connections again and again.
const proxySettleTime = time.Second

// proxyWatch reads the sockets of transparent proxies. Its methods are safe for concurrent use.
type proxyWatch struct {
	mu     sync.Mutex
	states map[uplinks.Proxy]proxyState
}

// proxyState is what has been seen of a proxy.
type proxyState struct {
	inUse uplinks.ProxyState // of its socket, once it has settled
	seen  uplinks.ProxyState // the latest reading
	since time.Time          // of seen
	check checkRecord        // since it listens
}

// state returns what Observe reports.
func (s proxyState) state() uplinks.ProxyState {
	if s.inUse == uplinks.ProxyListening && s.check.failing {
		return uplinks.ProxyNotAnswering
	}
	return s.inUse
}

// set sets the proxies whose sockets are read. What is known about those that stay is kept.
func (w *proxyWatch) set(proxies []uplinks.Proxy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.states
	w.states = map[uplinks.Proxy]proxyState{}
	for _, p := range proxies {
		w.states[p] = before[p]
	}
}

// read reads the sockets and returns the state of each proxy, nil if there are none.
func (w *proxyWatch) read(ctx context.Context) map[uplinks.Proxy]uplinks.ProxyState {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.states) == 0 {
		return nil
	}
	states, sockets := map[uplinks.Proxy]uplinks.ProxyState{}, proxySockets{}
	for p, s := range w.states {
		if now, err := sockets.lookUp(ctx, p); err == nil {
			s = s.next(now, time.Now())
			w.states[p] = s
		}
		states[p] = s.state()
	}
	return states
}

// next returns the state after a reading. A proxy is taken out of use at once, and into use at the first reading of all or after
// it has listened for proxySettleTime.
func (s proxyState) next(now uplinks.ProxyState, at time.Time) proxyState {
	first := s.seen == uplinks.ProxyUnknown
	if now != s.seen {
		s.seen, s.since, s.check = now, at, checkRecord{}
	}
	if first || now != uplinks.ProxyListening || at.Sub(s.since) >= proxySettleTime {
		s.inUse = now
	}
	return s
}

// hash reads the sockets and writes the state of each proxy.
func (w *proxyWatch) hash(sum io.Writer) {
	states := w.read(context.Background())
	if len(states) == 0 {
		return
	}
	for _, p := range slices.SortedFunc(maps.Keys(states), func(a, b uplinks.Proxy) int { return strings.Compare(orderOf(a), orderOf(b)) }) {
		fmt.Fprintln(sum, p, states[p])
	}
}

// orderOf returns a text that distinguishes the proxy.
func orderOf(p uplinks.Proxy) string { return p.String() + " " + p.Check }

// LookUpProxy returns whether a socket takes what is intercepted for the proxy, in the network namespace of the caller. It sends
// no check, and needs no privilege.
func LookUpProxy(ctx context.Context, p uplinks.Proxy) (uplinks.ProxyState, error) {
	return proxySockets{}.lookUp(ctx, p)
}

// proxySockets are the sockets of one reading: those at a port are read once, although proxies of both families have it.
type proxySockets map[proxyPort][]rtnl.Socket

type proxyPort struct {
	proto uint8
	port  uint16
}

func (all proxySockets) lookUp(ctx context.Context, p uplinks.Proxy) (uplinks.ProxyState, error) {
	at := proxyPort{map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[p.Proto], p.Port}
	if _, read := all[at]; !read {
		sockets, err := rtnl.ServerSocketsAt(ctx, at.proto, at.port)
		if err != nil {
			return uplinks.ProxyUnknown, err
		}
		all[at] = sockets
	}
	state := uplinks.ProxyNobody
	for _, s := range all[at] {
		switch {
		case !s.TakesProxied(p):
		case !s.Opaque:
			return uplinks.ProxyListening, nil
		default:
			state = uplinks.ProxyNotTransparent
		}
	}
	return state, nil
}
