package prover

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"replypath/health/proof"
	"replypath/health/proof/capture"
	"replypath/health/proof/inject"
)

// trace is what was injected, and what was observed of it.
type trace struct {
	requests     []proof.Request
	observations proof.Observations
}

const (
	captureLockTimeout  = 10 * time.Second     // for the proof of another program to end
	capturePollInterval = 5 * time.Millisecond // for late replies
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
	if err := r.findTranslated(ctx); err != nil {
		return t, err
	}
	r.host.Selected = uniqueSelected(append(r.host.Selected, r.rules.selected...))
	t, err = r.injectAll(ctx, proof.Requests(r.paths, r.host, r.peers, firstPort), false)
	t.observations.Output = r.output
	return t, err
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
	lockCtx, cancel := context.WithTimeout(ctx, captureLockTimeout)
	defer cancel()
	filter := r.captureFilter(servers.requests, ports, secret)
	r.setOutput(&filter, r.output)
	filter.Trace = traced
	c, err := capture.Open(lockCtx, filter)
	if err != nil {
		return t, err
	}
	defer c.Close()
	defer servers.close() // before the capture ends, so that it has their last replies
	w := captureWindow{run: r, injector: injector, capture: c, servers: servers, ports: ports, secret: secret}
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
	opened   []proof.Request // connections to forwarded hosts that must be reset
	injected []proof.Request
}

func (c *captureWindow) trace(ctx context.Context, requests []proof.Request) (t trace, err error) {
	defer func() { deleteConnections(c.injected) }()
	for _, q := range requests {
		if err := c.inject(q); err != nil {
			return t, err
		}
	}
	if t.observations, err = c.capture.Read(); err != nil {
		return t, err
	}
	t.requests = slices.Clone(requests)
	if err := c.injectTakenAgain(&t); err != nil {
		return t, err
	}
	defer func() { c.resetOpened(t.observations) }()
	if err := c.injectForwardedAgain(t.requests, t.observations); err != nil {
		return t, err
	}
	return t, c.awaitReplies(ctx, &t)
}

// awaitReplies reads the capture until no reply can be expected any more, and nothing more is observed: the last reply may have
// been on its way through the hooks while they were read.
func (c *captureWindow) awaitReplies(ctx context.Context, t *trace) (err error) {
	last := -1
	for began := time.Now(); ; {
		unanswered := c.servers.unansweredServers()
		if t.observations, err = c.capture.Read(); err != nil {
			return err
		}
		count := t.observations.Count()
		if count == last && time.Since(began) >= proof.ReplyTimeout(t.requests, t.observations, unanswered) {
			return nil
		}
		last = count
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(capturePollInterval):
		}
	}
}

// inject injects a request. A TCP connection is reset at once, so that no server is left with it half open.
func (c *captureWindow) inject(q proof.Request) error {
	c.injected = append(c.injected, q)
	if q.Proto == "tcp" {
		return c.injector.ReceiveAndReset(q.Path.Index, c.frameAddrs(q))
	}
	return c.injector.Receive(q.Path.Index, c.frame(q))
}

// injectTakenAgain repeats, from other ports, requests whose connection was there before them.
func (c *captureWindow) injectTakenAgain(t *trace) (err error) {
	for {
		again := false
		for i, q := range t.requests {
			if !t.observations.Taken(q) || !c.ports.renew(&q) {
				continue
			}
			again, t.requests[i] = true, q
			if err := c.inject(q); err != nil {
				return err
			}
		}
		if !again {
			return nil
		}
		if t.observations, err = c.capture.Read(); err != nil {
			return err
		}
	}
}

// injectForwardedAgain repeats TCP requests that were forwarded to another host, which may see the reset before it can
// reply. The repetition has another port and is reset by resetOpened.
func (c *captureWindow) injectForwardedAgain(requests []proof.Request, o proof.Observations) error {
	for i, q := range requests {
		if q.Proto != "tcp" || !o.Forwarded(q) || !c.ports.renew(&q) {
			continue
		}
		requests[i] = q
		c.opened, c.injected = append(c.opened, q), append(c.injected, q)
		if err := c.injector.Receive(q.Path.Index, inject.SYN(c.frameAddrs(q), c.secret.Sequence())); err != nil {
			return err
		}
	}
	return nil
}

// resetOpened resets the connections of injectForwardedAgain, and removes them from conntrack. Where the kernel itself has
// refused one, because the other host is unreachable, a reset would be refused too, seconds after the capture.
func (c *captureWindow) resetOpened(o proof.Observations) {
	for _, q := range c.opened {
		if o.RefusedLocally(q) {
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
		a.MAC = []byte(mac)
	}
	return a
}
