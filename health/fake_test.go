package health

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

	"replypath/uplinks"
)

// internet is a fake Asker: who answers by which uplink.
type internet struct {
	mu      sync.Mutex
	rtt     time.Duration
	slow    map[string]time.Duration // round trip of an uplink
	holes   map[string]bool          // uplinks by which nobody answers
	dead    map[string]bool          // hosts that answer nobody
	nobody  map[string]bool          // "uplink host": that host does not answer by that uplink
	refused map[string]bool          // uplinks by which nothing can be sent
	asked   []asked
	open    int
	most    int // open at once
}

type asked struct {
	at     time.Time
	uplink string
	target string
	mark   int
}

func newInternet() *internet {
	return &internet{rtt: 20 * time.Millisecond, slow: map[string]time.Duration{}, holes: map[string]bool{}, dead: map[string]bool{}, nobody: map[string]bool{}, refused: map[string]bool{}}
}

func (n *internet) set(change func(n *internet)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// Ask answers after the round trip if there is nobody in the way when the question leaves and when the answer arrives.
func (n *internet) Ask(ctx context.Context, p Path, q Probe) Outcome {
	n.mu.Lock()
	o := Outcome{Sent: time.Now()}
	n.asked = append(n.asked, asked{o.Sent, p.Uplink, q.Target.String(), int(p.Mark)})
	rtt := max(n.rtt, n.slow[p.Uplink])
	lost, refused := n.lost(p, q) || rtt > q.Timeout, n.refused[p.Uplink]
	n.open++
	n.most = max(n.most, n.open)
	n.mu.Unlock()
	defer n.set(func(n *internet) { n.open-- })
	if refused {
		o.Err = errors.New("network is unreachable")
		return o
	}
	if !lost {
		sleep(ctx, rtt)
		n.set(func(n *internet) { lost = n.lost(p, q) })
	}
	if lost {
		sleep(ctx, q.Timeout-time.Since(o.Sent))
		o.Err = fmt.Errorf("no answer in %v", q.Timeout)
		return o
	}
	o.RTT = time.Since(o.Sent)
	return o
}

func (n *internet) lost(p Path, q Probe) bool {
	host := q.Target.Host
	if q.Target.Kind == Gateway {
		host = p.Gateway.String()
	}
	return n.holes[p.Uplink] || n.dead[host] || n.nobody[p.Uplink+" "+host]
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// count is how many questions have been put, by the uplink or all.
func (n *internet) count(uplink string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := 0
	for _, a := range n.asked {
		if uplink == "" || a.uplink == uplink {
			sum++
		}
	}
	return sum
}

// rig is a monitor over a fake internet, in a bubble of its own.
type rig struct {
	t        *testing.T
	net      *internet
	monitor  *Monitor
	settings Settings
	paths    []Path
	events   []Event
	told     int
	mu       sync.Mutex
	answered sync.Map      // the last round trip of each Key
	changed  chan struct{} // there are events
}

const (
	pinged = "203.0.113.9"
	other  = "203.0.113.10"
)

func ping(host string) Probe { return NewProbe(host, Target{Kind: ICMP, Host: host}) }

// pathOf is a path of the uplink with everything that it needs.
func pathOf(uplink string, id int, f uplinks.Family) Path {
	p := Path{Key: Key{uplink, f}, Link: "eth" + fmt.Sprint(id), Index: id + 1, Up: true, Carrier: true, Mask: 0x1f00}
	p.ID = 1
	p.Mark = 0x100
	p.Source, p.Gateway = netip.AddrFrom4([4]byte{198, 51, 100, byte(id + 1)}), netip.AddrFrom4([4]byte{198, 51, 100, 254})
	if f == uplinks.IPv6 {
		p.Source, p.Gateway = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", id+1)), netip.MustParseAddr("2001:db8::ffff")
	}
	return p
}

// in runs the test with uplinks of these names in IPv4, each with the probes, inside a bubble. The monitor has ended when
// it returns: a goroutine that is left makes the bubble fail.
func in(t *testing.T, names []string, probes []Probe, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: newInternet(), changed: make(chan struct{}, 1)}
		r.monitor = NewMonitor(map[Kind]Asker{ICMP: r.net, TCP: r.net, HTTP: r.net, Gateway: r.net})
		r.monitor.Changed = func(e Event) {
			if len(names) < 10 {
				r.monitor.Uplinks() // it may use the monitor
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
			select {
			case r.changed <- struct{}{}:
			default:
			}
		}
		r.monitor.Answered = func(k Key, _ Probe, o Outcome) { r.answered.Store(k, o.RTT) }
		for i, name := range names {
			r.settings.Uplinks = append(r.settings.Uplinks, Uplink{Name: name, Probes: probes, Quorum: 1})
			r.paths = append(r.paths, pathOf(name, i, uplinks.IPv4))
		}
		r.watch()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.monitor.Run(ctx) }()
		test(r)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run gave %v", err)
		}
		if r.net.open != 0 {
			t.Errorf("%d questions are open after Run has ended", r.net.open)
		}
	})
}

func (r *rig) watch() { r.monitor.Watch(r.settings, slices.Clone(r.paths)) }

// at is how the uplink stands now, in IPv4.
func (r *rig) at(uplink string) Standing {
	r.t.Helper()
	for _, u := range r.monitor.Uplinks() {
		if u.Name == uplink && len(u.Families) > 0 {
			return u.Families[0]
		}
	}
	r.t.Fatalf("there is no %s in %+v", uplink, r.monitor.Uplinks())
	return Standing{}
}

// expect checks the states of the uplinks, in the order of the settings.
func (r *rig) expect(when string, states ...State) {
	r.t.Helper()
	synctest.Wait()
	for i, u := range r.monitor.Uplinks() {
		if u.State != states[i] {
			r.t.Errorf("%s: %s is %s (%s), want %s", when, u.Name, u.State, u.Families[0].Reason, states[i])
		}
	}
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

// until gives how long it takes for the uplink to get into the state, at most an hour.
func (r *rig) until(uplink string, s State) time.Duration {
	r.t.Helper()
	began, late := time.Now(), time.After(time.Hour)
	for {
		synctest.Wait()
		if r.at(uplink).State == s {
			return time.Since(began)
		}
		select {
		case <-r.changed:
		case <-late:
			r.t.Fatalf("%s is never %s: %+v", uplink, s, r.at(uplink))
		}
	}
}

// news are the events since the last call, in short.
func (r *rig) news() (all []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events[r.told:] {
		all = append(all, fmt.Sprintf("%s %s %s→%s", e.Kind, e.Uplink, e.From, e.To))
	}
	r.told = len(r.events)
	return all
}
