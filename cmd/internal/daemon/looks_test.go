package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// watched is a host that the service follows by what it hears alone: it never looks without a reason.
type watched struct {
	t        *testing.T
	gateway  *world.Host
	settings uplinks.Settings
	service  *Service
	outside  *world.Host // on the other side of its links
	other    *host.Host  // looks at the whole, beside the service

	mu    sync.Mutex
	facts uplinks.Facts // as the service has them
}

// agreed is the time within which the service knows all that has happened, on any machine.
const agreed = 15 * time.Second

// follow runs what of the service looks at the host, until the test ends.
func follow(t *testing.T, backend marks.Backend, s uplinks.Settings, gateway *world.Host) *watched {
	t.Helper()
	w := &watched{t: t, gateway: gateway, settings: s}
	log := slog.New(slog.DiscardHandler)
	options := host.Options{State: t.TempDir(), Backend: backend, TableBase: s.TableBase}
	open := func() (h *host.Host) {
		var err error
		if gateway.Do(func() { h, err = host.Open(t.Context(), options) }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		return h
	}
	w.other = open()
	w.service = &Service{Log: log, host: open(), care: newCare(health.NewMonitor(nil), log), stirred: make(chan struct{}, 1), requests: make(chan request)}
	w.service.fingerprint = w.service.host.Fingerprint
	w.service.keeper = NewKeeper(w.service.host, log, s)
	w.service.keeper.Observed = func(_ uplinks.Settings, f uplinks.Facts, _ []uplinks.Share) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.facts = f
	}
	w.service.loop = NewLoop(w.service.round)
	w.service.loop.Refresh, w.service.keeper.Refresh = time.Hour, time.Hour
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, run := range []func() error{
		func() error { return w.service.watch(ctx, "links, routes and rules", w.service.host.WatchLinks) },
		func() error { return w.service.watch(ctx, "firewall", w.service.host.WatchFirewall) },
		func() error { return w.service.pulse(ctx) },
		func() error { return w.service.loop.Run(ctx) },
	} {
		all.Go(func() {
			gateway.Do(func() {
				if err := run(); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
	return w
}

// agree waits until the service has seen all that a look at the whole host sees, and has found that nothing is to do: from
// then on it looks only where an event says that it was.
func (w *watched) agree(what string) {
	w.t.Helper()
	var facts uplinks.Facts
	var have uplinks.State
	var err error
	var plan uplinks.Plan
	var missed string
	for until := time.Now().Add(agreed); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		w.gateway.Do(func() { facts, have, err = w.other.Observe(w.t.Context()) })
		if err != nil {
			w.t.Fatal(err)
		}
		plan, missed = uplinks.Diff(uplinks.Desired(w.settings, facts), have), w.missed(facts)
		if len(plan) == 0 && missed == "" && w.service.keeper.Report().InSync {
			return
		}
	}
	w.t.Errorf("%s: still to do:\n%s\nnot seen (- is what there is):\n%s", what, plan, missed)
}

// missed is what of the host the service has not seen. Of main's routes through gateways it hears by and by.
func (w *watched) missed(f uplinks.Facts) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	exact := cmp.Exporter(func(reflect.Type) bool { return true })
	part := func(f uplinks.Facts) uplinks.Facts {
		return uplinks.Facts{IPv6: f.IPv6, Links: f.Links, Others: f.Others, Barred: f.Barred, Tools: f.Tools, Both: f.Both}
	}
	return cmp.Diff(part(f), part(w.facts), exact, cmpopts.EquateEmpty())
}

// upheld are three uplinks with what their gateways come from: main, the configuration, and a table of somebody's.
func upheld() uplinks.Settings {
	s := uplinks.DefaultSettings()
	s.Mask = 0xff00
	auto := uplinks.Gateway{Auto: true}
	s.Uplinks = []uplinks.Uplink{
		{Name: "a", ID: 1, Link: "eth0", Gateway4: auto, Gateway6: auto, WhenDown: uplinks.Hold},
		{Name: "b", ID: 2, Link: "eth1", WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.1")}, Gateway6: uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}},
		{Name: "c", ID: 255, Link: "eth2", Gateway4: auto, Gateway6: auto, WhenDown: uplinks.Release},
	}
	return s
}

// dressing gives an uplink its addresses, and a gateway to learn.
const dressing = `
dress() {
	case $1 in
	eth0) a4=198.51.100.2/24 a6=2001:db8:a::2/64 g4=198.51.100.1 t=main;;
	eth1) a4=192.0.2.2/24 a6=2001:db8:b::2/64 t=;;
	eth2) a4=203.0.113.2/24 a6=2001:db8:d::2/64 g4=203.0.113.1 t=101;;
	esac
	ip addr replace $a4 dev $1; ip -6 addr replace $a6 dev $1 nodad
	[ -z "$t" ] || { ip route replace default via $g4 dev $1 table $t; ip -6 route replace default via fe80::1 dev $1 table $t; }
}
`

func newWatched(t *testing.T, backend marks.Backend) *watched {
	t.Helper()
	w := world.New(t)
	gw := w.Host("gw")
	for _, name := range []string{"eth0", "eth1", "eth2", "lan0"} {
		w.Join(gw, name, w.Host("isp"), name)
	}
	gw.Run("sh", "-ec", dressing+"for l in eth0 eth1 eth2; do dress $l; done; ip addr add 198.18.0.1/24 dev lan0")
	f := follow(t, backend, upheld(), gw)
	f.outside = w.Host("isp")
	f.agree("at first")
	return f
}

// Whatever happens to a host, what the service then looks at is enough: it knows, and keeps to, what it would after a look
// at the whole host.
func TestNothingIsMissed(t *testing.T) {
	w := newWatched(t, marks.NFT)
	for _, c := range happenings {
		for _, does := range c.does {
			t.Run(c.what, func(t *testing.T) {
				w.t = t
				if said, err := w.gateway.Command(t.Context(), "sh", "-ec", dressing+does).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", does, err, said)
				}
				w.agree(does)
			})
		}
	}
}
