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

// harness is a monitor over a fake network, in a synctest bubble.
type harness struct {
	t        *testing.T
	network  *fakeNetwork
	hung     hangingProber // of the probes of hungKind
	batched  *batchingNetwork
	monitor  *Monitor
	settings health.Settings
	paths    []health.Path
	events   []health.Event
	reported int
	reports  []string // each state of an event, and each hold-down, in turn
	mu       sync.Mutex
	answered sync.Map      // the last round-trip time by Key
	changed  chan struct{} // signals events
}

// hungKind is a kind of probes that hang.
const hungKind = health.ProbeKind("hung")

const (
	targetHost = "203.0.113.9"
	otherHost  = "203.0.113.10"
)

func icmpProbe(host string) health.Probe {
	return health.NewProbe(host, health.Target{Kind: health.ICMP, Host: host})
}

// testPath returns a path that lacks nothing.
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

// withMonitor runs the test in a synctest bubble with IPv4 uplinks of these names, each with the probes. Run has ended when
// it returns: synctest fails if a goroutine is left.
func withMonitor(t *testing.T, names []string, probes []health.Probe, test func(h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, network: newFakeNetwork(), changed: make(chan struct{}, 1)}
		h.batched = &batchingNetwork{fakeNetwork: h.network, ctx: t.Context()}
		h.monitor = New(map[health.ProbeKind]health.Prober{health.ICMP: h.network, health.TCP: h.network, health.HTTP: h.network, health.Gateway: h.batched, hungKind: &h.hung})
		h.monitor.OnEvent = func(e health.Event) {
			if len(names) < 10 {
				h.monitor.Status() // OnEvent may call the monitor
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.events = append(h.events, e)
			h.reports = append(h.reports, e.To)
			select {
			case h.changed <- struct{}{}:
			default:
			}
		}
		h.monitor.OnHoldDown = func(k health.Key, held bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.reports = append(h.reports, fmt.Sprint(k.Uplink, " ", held))
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
			t.Errorf("Run returned %v", err)
		}
		synctest.Wait()
		if h.network.inFlight != h.batched.waiting {
			t.Errorf("%d probes are in flight after Run has ended", h.network.inFlight)
		}
	})
}

func (h *harness) configure() { h.monitor.Configure(h.settings, slices.Clone(h.paths)) }

// status returns the IPv4 status of the uplink.
func (h *harness) status(uplink string) health.FamilyStatus {
	h.t.Helper()
	for _, u := range h.monitor.Status() {
		if u.Name == uplink && len(u.Families) > 0 {
			return u.Families[0]
		}
	}
	h.t.Fatalf("there is no %s in %+v", uplink, h.monitor.Status())
	return health.FamilyStatus{}
}

// expectStates checks the states of the uplinks, in the order of the settings.
func (h *harness) expectStates(when string, states ...health.State) {
	h.t.Helper()
	synctest.Wait()
	for i, u := range h.monitor.Status() {
		if u.State != states[i] {
			h.t.Errorf("%s: %s is %s (%s), want %s", when, u.Name, u.State, u.Families[0].Reason, states[i])
		}
	}
}

// advance advances the clock of the bubble.
func (h *harness) advance(d time.Duration) { time.Sleep(d); synctest.Wait() }

// waitForState returns how long it takes until the uplink is in the state, at most an hour.
func (h *harness) waitForState(uplink string, s health.State) time.Duration {
	h.t.Helper()
	began, late := time.Now(), time.After(time.Hour)
	for {
		synctest.Wait()
		if h.status(uplink).State == s {
			return time.Since(began)
		}
		select {
		case <-h.changed:
		case <-late:
			h.t.Fatalf("%s is never %s: %+v", uplink, s, h.status(uplink))
		}
	}
}

// newEvents returns the events since the last call as "kind uplink from→to".
func (h *harness) newEvents() (all []string) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events[h.reported:] {
		all = append(all, fmt.Sprintf("%s %s %s→%s", e.Kind, e.Uplink, e.From, e.To))
	}
	h.reported = len(h.events)
	return all
}
