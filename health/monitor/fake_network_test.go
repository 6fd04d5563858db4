package monitor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"replypath/health"
)

// fakeNetwork is a Prober whose targets answer by each uplink as the test sets it.
type fakeNetwork struct {
	mu          sync.Mutex
	rtt         time.Duration
	slowUplinks map[string]time.Duration // round-trip times by uplink
	blackholed  map[string]bool          // uplinks without any answer
	deadHosts   map[string]bool          // hosts that answer on no uplink
	unreachable map[string]bool          // "uplink host": the host does not answer by the uplink
	sendFails   map[string]bool          // uplinks with send errors
	sent        []sentProbeRecord
	inFlight    int
	maxInFlight int
}

type sentProbeRecord struct {
	at     time.Time
	uplink string
	target string
	mark   int
}

func newFakeNetwork() *fakeNetwork {
	return &fakeNetwork{rtt: 20 * time.Millisecond, slowUplinks: map[string]time.Duration{}, blackholed: map[string]bool{}, deadHosts: map[string]bool{}, unreachable: map[string]bool{}, sendFails: map[string]bool{}}
}

func (n *fakeNetwork) set(change func(n *fakeNetwork)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// Probe returns an answer after the round-trip time if the network loses neither the probe now nor the answer then.
func (n *fakeNetwork) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	n.mu.Lock()
	o := health.Outcome{Sent: time.Now()}
	n.sent = append(n.sent, sentProbeRecord{o.Sent, p.Uplink, q.Target.String(), int(p.Mark)})
	rtt := max(n.rtt, n.slowUplinks[p.Uplink])
	lost, failed := n.loses(p, q) || rtt > q.Timeout, n.sendFails[p.Uplink]
	n.inFlight++
	n.maxInFlight = max(n.maxInFlight, n.inFlight)
	n.mu.Unlock()
	defer n.set(func(n *fakeNetwork) { n.inFlight-- })
	if failed {
		o.Err = errors.New("network is unreachable")
		return o
	}
	if !lost {
		sleep(ctx, rtt)
		n.set(func(n *fakeNetwork) { lost = n.loses(p, q) })
	}
	if lost {
		sleep(ctx, q.Timeout-time.Since(o.Sent))
		o.Err = fmt.Errorf("no answer in %v", q.Timeout)
		return o
	}
	o.RTT = time.Since(o.Sent)
	return o
}

func (n *fakeNetwork) loses(p health.Path, q health.Probe) bool {
	host := q.Target.Host
	if q.Target.Kind == health.Gateway {
		host = p.Gateway.String()
	}
	return n.blackholed[p.Uplink] || n.deadHosts[host] || n.unreachable[p.Uplink+" "+host]
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// count returns the number of probes that were sent through the uplink, or through all for "".
func (n *fakeNetwork) count(uplink string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := 0
	for _, a := range n.sent {
		if uplink == "" || a.uplink == uplink {
			sum++
		}
	}
	return sum
}
