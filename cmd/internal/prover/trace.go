package prover

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"replypath/health/proof"
	"replypath/health/proof/capture"
	"replypath/health/proof/inject"
)

const (
	captureLockTimeout  = 25 * time.Second     // for the proof of another program to end, which the service bounds by 20
	capturePollInterval = 5 * time.Millisecond // for late replies
	cancelledTimeout    = time.Second          // for the replies of a proof that is cancelled
)

// The ports of peers, and the identifiers of echo requests, begin at random behind firstPort, so that they are not those of
// an earlier proof that conntrack may still have.
const (
	firstPort       = 32768
	portsPerRequest = 4 // for a request and its repetitions, each from another port
)

// trace injects the requests and observes the packets that they cause. Afterwards it resets the connections that it opened
// and removes its connections from conntrack.
func (r *run) trace(ctx context.Context) (t trace, err error) {
	if len(r.peers) == 0 {
		return t, nil
	}
	if r.output, err = r.readOutput(ctx); err != nil {
		return t, err
	}
	r.listRules(r.rules.others)
	if err := r.findServices(ctx); err != nil {
		return t, err
	}
	t, err = r.injectAll(ctx, proof.Requests(r.paths, r.host, r.peers, firstPort), false)
	t.observations.Output, t.grouped = r.output, nil
	if err != nil {
		return t, err
	}
	r.cache.keepQuiet(&t)
	return t, r.askInside(ctx, &t)
}

// findServices finds by the firewall's rules what to ask for beside the host itself, unless prove is configured.
func (r *run) findServices(ctx context.Context) error {
	if r.host.Services != nil || !r.rules.read {
		r.host.Selected = uniqueSelected(r.host.Selected)
		return nil
	}
	r.host.Selected = uniqueSelected(append(r.host.Selected, r.rules.selected...))
	if err := r.findTranslated(ctx); err != nil {
		return err
	}
	return r.findInsideHosts(ctx)
}

// injectAll injects the requests, with new ports of the peers. traced makes nftables report the rules that they match.
func (r *run) injectAll(ctx context.Context, requests []proof.Request, traced bool) (t trace, err error) {
	var secret proof.Secret
	if _, err := rand.Read(secret[:]); err != nil {
		return t, fmt.Errorf("make the secret of the proof: %w", err)
	}
	injector, err := inject.Open(secret.Sequence())
	if err != nil {
		return t, err
	}
	defer injector.Close()
	ports := newPeerPorts(requests)
	servers := startUDPServers(requests, secret)
	defer servers.close()
	r.standInForProxies(servers)
	lockCtx, cancel := context.WithTimeout(ctx, captureLockTimeout)
	defer cancel()
	filter := r.captureFilter(servers.requests, ports, secret)
	filter.Proxies = capture.ProxyStandIn{Bit: r.host.InterceptBit, Sockets: servers.proxySockets()}
	r.setOutput(&filter, r.output)
	filter.Trace = traced
	c, err := capture.Open(lockCtx, filter)
	if err != nil {
		return t, err
	}
	defer c.Close()
	if len(filter.Proxies.Sockets) > 0 && !c.StandsInForProxies() {
		servers.withoutStandIns()
	}
	defer servers.close() // before the capture ends, so that it has their last replies
	w := captureWindow{run: r, injector: injector, capture: c, servers: servers, ports: ports, secret: secret, forwarded: map[netip.AddrPort]bool{}}
	return w.trace(ctx, servers.requests)
}

// captureFilter returns what the capture observes.
func (r *run) captureFilter(requests []proof.Request, ports *peerPorts, secret proof.Secret) capture.Filter {
	f := capture.Filter{Peers: r.peerAddrs(), Links: r.uplinkIndexes, Requests: portsPerRequest * len(requests), Secret: secret,
		FirstPort: ports.first, LastPort: ports.last}
	for _, q := range requests {
		if q.Proto == "udp" {
			f.DatagramPorts = append(f.DatagramPorts, q.To.Port())
		}
		if q.StandIn != 0 {
			f.StandIns = append(f.StandIns, capture.StandIn{Server: q.To, Port: q.StandIn})
		}
	}
	return f
}

// captureWindow is the time between the first request and the end of the capture.
type captureWindow struct {
	*run
	injector *inject.Injector
	capture  *capture.Capture
	servers  *udpServers
	ports    *peerPorts
	secret   proof.Secret

	forwarded map[netip.AddrPort]bool // TCP ports of this host that are forwarded to another one
	opened    []proof.Request         // connections to them, which must be reset
	injected  []proof.Request
}

func (c *captureWindow) trace(ctx context.Context, requests []proof.Request) (t trace, err error) {
	defer func() { deleteConnections(c.injected) }()
	defer c.awaitNeighbours(&t)
	for _, q := range requests {
		if err := c.inject(q); err != nil {
			return t, err
		}
	}
	if err := t.read(c.capture); err != nil {
		return t, err
	}
	t.requests = slices.Clone(requests)
	if err := c.injectTakenAgain(&t); err != nil {
		return t, err
	}
	defer func() { c.resetOpened(&t) }()
	if _, err := c.injectForwardedAgain(&t); err != nil {
		return t, err
	}
	if err := c.awaitReplies(ctx, &t); err != nil {
		return t, err
	}
	// A slow machine forwards some requests only now.
	again, err := c.injectForwardedAgain(&t)
	if err == nil && again {
		err = c.awaitReplies(ctx, &t)
	}
	if err != nil {
		return t, err
	}
	return t, c.repeatMisrouted(ctx, &t)
}

// repeatMisrouted repeats, from other ports, the requests whose reply would have left by another next hop, as long as there are ports:
// all must agree before a path is said to be broken. A request whose repetition has no reply stays the one that counts.
func (c *captureWindow) repeatMisrouted(ctx context.Context, t *trace) error {
	for {
		before := slices.Clone(t.requests)
		again, err := c.injectAgain(t, proof.Traces.Misrouted)
		if err != nil || !again {
			return err
		}
		if err := c.awaitReplies(ctx, t); err != nil {
			return err
		}
		traces := t.traces()
		for i, q := range t.requests {
			if !traces.Replied(q) {
				t.requests[i] = before[i]
			}
		}
	}
}

// awaitReplies reads the capture until no reply can be expected any more, and nothing more is observed: the last reply may have
// been on its way through the hooks while they were read. A proof that is cancelled waits too, for less time: without the capture
// and the connections in conntrack, the reply of a host inside would leave untranslated.
func (c *captureWindow) awaitReplies(ctx context.Context, t *trace) error {
	end, cancel := delayed(ctx, cancelledTimeout)
	defer cancel()
	for began := time.Now(); ; {
		select {
		case <-end.Done():
			return ctx.Err()
		case <-time.After(capturePollInterval):
		}
		last, own := t.observations.Count(), c.servers.replies()
		own.Blocked = c.output.BlockedPeers(t.requests)
		if err := t.read(c.capture); err != nil {
			return err
		}
		if t.observations.Count() == last && time.Since(began) >= proof.ReplyTimeout(t.requests, t.traces(), own) {
			return ctx.Err()
		}
	}
}

// delayed returns a context that is done when ctx has been for the duration, and a function that releases it.
func delayed(ctx context.Context, d time.Duration) (context.Context, func()) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return late, func() { stop(); cancel() }
}

// inject injects a request. A TCP connection to this host is reset at once, so that no server is left with it half open; one that is
// forwarded to another host by resetOpened, since that host may see a reset before it can reply.
func (c *captureWindow) inject(q proof.Request) error {
	c.injected = append(c.injected, q)
	switch {
	case q.Proto != "tcp":
		return c.injector.Receive(q.Path.Index, c.frame(q))
	case c.forwarded[q.To]:
		c.opened = append(c.opened, q)
		return c.injector.Receive(q.Path.Index, inject.SYN(c.frameAddrs(q), c.secret.Sequence()))
	}
	return c.injector.ReceiveAndReset(q.Path.Index, c.frameAddrs(q))
}

// injectTakenAgain repeats requests whose connection was there before them, as long as there are such and ports.
func (c *captureWindow) injectTakenAgain(t *trace) error {
	for {
		again, err := c.injectAgain(t, proof.Traces.Taken)
		if err != nil || !again {
			return err
		}
		if err := t.read(c.capture); err != nil {
			return err
		}
	}
}

// injectAgain repeats, from other ports, the requests of which the observations say so, and reports whether there are any.
func (c *captureWindow) injectAgain(t *trace, say func(proof.Traces, proof.Request) bool) (again bool, err error) {
	traces := t.traces()
	for i, q := range t.requests {
		if !say(traces, q) || !c.ports.renew(&q) {
			continue
		}
		again, t.requests[i] = true, q
		if err := c.inject(q); err != nil {
			return again, err
		}
	}
	return again, nil
}

// injectForwardedAgain repeats TCP requests that were forwarded to another host, and were reset at once. It reports whether there
// are any.
func (c *captureWindow) injectForwardedAgain(t *trace) (again bool, err error) {
	reset := func(g proof.Traces, q proof.Request) bool {
		isOpened := slices.ContainsFunc(c.opened, func(x proof.Request) bool { return x.From == q.From })
		return q.Proto == "tcp" && g.Forwarded(q) && !isOpened
	}
	traces := t.traces()
	for _, q := range t.requests {
		if reset(traces, q) {
			c.forwarded[q.To] = true
		}
	}
	return c.injectAgain(t, reset)
}

// resetOpened resets the connections that were opened to other hosts, and removes them from conntrack. Where the kernel itself has
// refused one, because the other host is unreachable, a reset would be refused too, seconds after the capture.
func (c *captureWindow) resetOpened(t *trace) {
	for _, q := range c.opened {
		if t.traces().RefusedLocally(q) {
			continue
		}
		// Without the reset the connection times out on the other host (SYN_RECV).
		_ = c.injector.Receive(q.Path.Index, inject.RST(c.frameAddrs(q), c.secret.Sequence()))
	}
}

func (c *captureWindow) frame(q proof.Request) []byte {
	if q.Proto == "udp" {
		return inject.UDP(c.frameAddrs(q), c.secret.Datagram(q.To.Port()))
	}
	return inject.EchoRequest(c.frameAddrs(q), c.secret[:])
}

func (c *captureWindow) frameAddrs(q proof.Request) inject.FrameAddrs {
	a := inject.FrameAddrs{From: q.From, To: q.To}
	if mac := c.host.Facts.Links[q.Path.Link].MAC; mac != "" {
		a.MAC, a.Sender = []byte(mac), c.routerMAC(q.Path)
	}
	return a
}
