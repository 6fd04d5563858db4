package monitor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// fakeNetwork is a fake Prober: who answers by which uplink.
type fakeNetwork struct {
	mu          sync.Mutex
	rtt         time.Duration
	slowUplinks map[string]time.Duration // round trip of an uplink
	blackholed  map[string]bool          // uplinks by which nobody answers
	deadHosts   map[string]bool          // hosts that answer nobody
	unreachable map[string]bool          // "uplink host": that host does not answer by that uplink
	sendFails   map[string]bool          // uplinks by which nothing can be sent
	sent        []sentProbeRecord
	inFlight    int
	maxInFlight int // open at once
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

// Probe answers after the round trip if there is nobody in the way when the question leaves and when the answer arrives.
func (n *fakeNetwork) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	n.mu.Lock()
	o := health.Outcome{Sent: time.Now()}
	n.sent = append(n.sent, sentProbeRecord{o.Sent, p.Uplink, q.Target.String(), int(p.Mark)})
	rtt := max(n.rtt, n.slowUplinks[p.Uplink])
	lost, refused := n.loses(p, q) || rtt > q.Timeout, n.sendFails[p.Uplink]
	n.inFlight++
	n.maxInFlight = max(n.maxInFlight, n.inFlight)
	n.mu.Unlock()
	defer n.set(func(n *fakeNetwork) { n.inFlight-- })
	if refused {
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

// count is how many questions have been put, by the uplink or all.
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

// harness is a monitor over a fake internet, in a bubble of its own.
type harness struct {
	t        *testing.T
	network  *fakeNetwork
	monitor  *Monitor
	settings health.Settings
	paths    []health.Path
	events   []health.Event
	reported int
	mu       sync.Mutex
	answered sync.Map      // the last round trip of each Key
	changed  chan struct{} // there are events
}

const (
	targetHost = "203.0.113.9"
	otherHost  = "203.0.113.10"
)

func icmpProbe(host string) health.Probe {
	return health.NewProbe(host, health.Target{Kind: health.ICMP, Host: host})
}

// testPath is a path of the uplink with everything that it needs.
func testPath(uplink string, id int, f uplinks.Family) health.Path {
	p := health.Path{Key: health.Key{Uplink: uplink, Family: f}, Link: "eth" + fmt.Sprint(id), Index: id + 1, Up: true, Carrier: true, Mask: 0x1f00}
	p.ID = 1
	p.Mark = 0x100
	p.Source, p.Gateway = netip.AddrFrom4([4]byte{198, 51, 100, byte(id + 1)}), netip.AddrFrom4([4]byte{198, 51, 100, 254})
	if f == uplinks.IPv6 {
		p.Source, p.Gateway = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", id+1)), netip.MustParseAddr("2001:db8::ffff")
	}
	return p
}

// withMonitor runs the test with uplinks of these names in IPv4, each with the probes, inside a bubble. The monitor has ended when
// it returns: a goroutine that is left makes the bubble fail.
func withMonitor(t *testing.T, names []string, probes []health.Probe, test func(h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, network: newFakeNetwork(), changed: make(chan struct{}, 1)}
		h.monitor = New(map[health.ProbeKind]health.Prober{health.ICMP: h.network, health.TCP: h.network, health.HTTP: h.network, health.Gateway: h.network})
		h.monitor.OnEvent = func(e health.Event) {
			if len(names) < 10 {
				h.monitor.Status() // it may use the monitor
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.events = append(h.events, e)
			select {
			case h.changed <- struct{}{}:
			default:
			}
		}
		h.monitor.OnOutcome = func(k health.Key, _ health.Probe, o health.Outcome) { h.answered.Store(k, o.RTT) }
		for i, name := range names {
			h.settings.Uplinks = append(h.settings.Uplinks, health.UplinkSettings{Name: name, Probes: probes, Quorum: 1})
			h.paths = append(h.paths, testPath(name, i, uplinks.IPv4))
		}
		h.configure()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.monitor.Run(ctx) }()
		test(h)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run gave %v", err)
		}
		if h.network.inFlight != 0 {
			t.Errorf("%d questions are open after Run has ended", h.network.inFlight)
		}
	})
}

func (r *harness) configure() { r.monitor.Configure(r.settings, slices.Clone(r.paths)) }

// status is how the uplink stands now, in IPv4.
func (r *harness) status(uplink string) health.FamilyStatus {
	r.t.Helper()
	for _, u := range r.monitor.Status() {
		if u.Name == uplink && len(u.Families) > 0 {
			return u.Families[0]
		}
	}
	r.t.Fatalf("there is no %s in %+v", uplink, r.monitor.Status())
	return health.FamilyStatus{}
}

// expectStates checks the states of the uplinks, in the order of the settings.
func (r *harness) expectStates(when string, states ...health.State) {
	r.t.Helper()
	synctest.Wait()
	for i, u := range r.monitor.Status() {
		if u.State != states[i] {
			r.t.Errorf("%s: %s is %s (%s), want %s", when, u.Name, u.State, u.Families[0].Reason, states[i])
		}
	}
}

// advance lets time pass.
func (r *harness) advance(d time.Duration) { time.Sleep(d); synctest.Wait() }

// waitForState gives how long it takes for the uplink to get into the state, at most an hour.
func (r *harness) waitForState(uplink string, s health.State) time.Duration {
	r.t.Helper()
	began, late := time.Now(), time.After(time.Hour)
	for {
		synctest.Wait()
		if r.status(uplink).State == s {
			return time.Since(began)
		}
		select {
		case <-r.changed:
		case <-late:
			r.t.Fatalf("%s is never %s: %+v", uplink, s, r.status(uplink))
		}
	}
}

// newEvents are the events since the last call, in short.
func (r *harness) newEvents() (all []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events[r.reported:] {
		all = append(all, fmt.Sprintf("%s %s %s→%s", e.Kind, e.Uplink, e.From, e.To))
	}
	r.reported = len(r.events)
	return all
}
