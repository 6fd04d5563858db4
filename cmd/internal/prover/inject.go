package prover

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"replypath/health/proof"
	"replypath/health/proof/capture"
	"replypath/health/proof/inject"
)

// injection is what was put to the paths, and what was seen of it.
type injection struct {
	questions    []proof.Request
	observations proof.Observations
}

// captureLockTimeout bounds how long another program's proof is waited for.
const captureLockTimeout = 10 * time.Second

// Numbers of a run before this one, whose connections may be remembered, are not likely to be met again. What is asked
// again has a number that is greater by anew.
const (
	firstNumber = 32768
	retryOffset = 16384
)

// inject makes questions arrive on the paths' links and sees where the answers go. Nothing of it outlives it: a question
// to open a connection is taken back, and connection tracking is told to forget.
func (r *proofRun) inject(ctx context.Context) (s injection, err error) {
	if len(r.sources) == 0 {
		return s, nil
	}
	injector, err := inject.Open()
	if err != nil {
		return s, err
	}
	defer injector.Close()
	questions := proof.Requests(r.paths, r.target, r.sources, uint16(firstNumber+rand.IntN(retryOffset/2)))
	servers := startUDPServers(questions)
	defer servers.close()
	lockCtx, cancel := context.WithTimeout(ctx, captureLockTimeout)
	defer cancel()
	capture, err := capture.Open(lockCtx, capture.Filter{Peers: r.sourceAddrs(), Links: r.uplinkIndexes, Requests: 2 * len(questions)})
	if err != nil {
		return s, err
	}
	defer capture.Close()
	defer servers.close() // while what they still answer is caught
	c := captureWindow{proofRun: r, injector: injector, capture: capture, servers: servers}
	return c.run(ctx, servers.questions)
}

// captureWindow is the time in which questions are out.
type captureWindow struct {
	*proofRun
	injector        *inject.Injector
	capture         *capture.Capture
	servers         *udpServers
	openConnections []proof.Request // connections of other hosts that are to be taken back
}

// capturePollInterval is how often answers that are late are looked for.
const capturePollInterval = 5 * time.Millisecond

func (c *captureWindow) run(ctx context.Context, questions []proof.Request) (s injection, err error) {
	defer c.dropConntrack(questions)
	for _, q := range questions {
		if err := c.send(q); err != nil {
			return s, err
		}
	}
	if s.observations, err = c.capture.Read(); err != nil {
		return s, err
	}
	s.questions = slices.Clone(questions)
	defer func() { c.resetOpenConnections(s.observations) }()
	if err := c.resendForwarded(s.questions, s.observations); err != nil {
		return s, err
	}
	return s, c.wait(ctx, &s)
}

// wait looks for answers until all are there that may come.
func (c *captureWindow) wait(ctx context.Context, s *injection) (err error) {
	for began := time.Now(); ; {
		unanswered := c.servers.unansweredSources()
		if s.observations, err = c.capture.Read(); err != nil {
			return err
		}
		if time.Since(began) >= proof.ReplyTimeout(s.questions, s.observations, unanswered) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(capturePollInterval):
		}
	}
}

// send makes a question arrive. One that opens a connection is taken back at once.
func (c *captureWindow) send(q proof.Request) error {
	if q.Proto == "tcp" {
		return c.injector.ReceiveAndReset(q.Path.Index, c.frameAddresses(q))
	}
	return c.injector.Receive(q.Path.Index, c.frame(q))
}

// resendForwarded asks anew what was passed on to another host, which may not have answered before it was taken back: this time
// it is taken back in the end. The number of the question changes.
func (c *captureWindow) resendForwarded(questions []proof.Request, s proof.Observations) error {
	for i, q := range questions {
		if q.Proto != "tcp" || !s.Forwarded(q) {
			continue
		}
		q.From = netip.AddrPortFrom(q.From.Addr(), q.From.Port()+retryOffset)
		questions[i] = q
		c.openConnections = append(c.openConnections, q)
		if err := c.injector.Receive(q.Path.Index, inject.SYN(c.frameAddresses(q))); err != nil {
			return err
		}
	}
	return nil
}

// resetOpenConnections resets the connections that resendForwarded has opened, and removes them from conntrack. Where the kernel
// itself has refused one, because the other host is unreachable, a reset would be refused too, seconds after the capture.
func (c *captureWindow) resetOpenConnections(s proof.Observations) {
	for _, q := range c.openConnections {
		if s.RefusedLocally(q) {
			continue
		}
		// One that cannot be taken back ends by itself on the other host.
		c.injector.Receive(q.Path.Index, inject.RST(c.frameAddresses(q)))
	}
	c.dropConntrack(c.openConnections)
}

func (c *captureWindow) frame(q proof.Request) []byte {
	if q.Proto == "udp" {
		return inject.UDP(c.frameAddresses(q), payload(q))
	}
	return inject.EchoRequest(c.frameAddresses(q))
}

func (c *captureWindow) frameAddresses(q proof.Request) inject.FrameAddrs {
	w := inject.FrameAddrs{From: q.From, To: q.To}
	if mac := c.target.Facts.Links[q.Path.Link].MAC; mac != "" {
		w.MAC = []byte(mac)
	}
	return w
}
