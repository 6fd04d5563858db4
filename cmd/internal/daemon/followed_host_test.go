package daemon

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// followedHost is a host and a service that reads it only because of events and polls, as its resyncs are an hour apart.
type followedHost struct {
	t         *testing.T
	gateway   *world.Host
	settings  uplinks.Settings
	service   *Service
	isp       *world.Host // at the other end of its links
	reference *host.Host  // reads the whole host

	mu    sync.Mutex
	facts uplinks.Facts // of the service
}

// agreementTimeout is more than the service needs to follow any event, on any machine.
const agreementTimeout = 15 * time.Second

// follow runs the components of the service that read the host, until the test ends.
func follow(t *testing.T, backend marks.Backend, s uplinks.Settings, gateway *world.Host) *followedHost {
	t.Helper()
	w := &followedHost{t: t, gateway: gateway, settings: s}
	options := host.Options{StateDir: t.TempDir(), Backend: backend, TableBase: s.TableBase, Settings: s}
	open := func() (h *host.Host) {
		var err error
		if gateway.Do(func() { h, err = host.Open(t.Context(), options) }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		return h
	}
	w.reference = open()
	w.service = newTestService(t, open(), s)
	w.service.reconciler.listener = w
	w.service.loop.resync, w.service.reconciler.resync = time.Hour, time.Hour
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, run := range []func(context.Context) error{
		w.service.links.Run, w.service.firewall.Run, w.service.fingerprints.Run, w.service.loop.Run,
	} {
		all.Go(func() {
			gateway.Do(func() {
				if err := run(ctx); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
	return w
}

// Observed implements Listener.
func (w *followedHost) Observed(_ uplinks.Settings, f uplinks.Facts, _ []uplinks.Scope) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.facts = f
}

// Repaired implements Listener.
func (*followedHost) Followed(uplinks.Plan, string, []uplinks.ChangedScope) {}

func (*followedHost) Repaired(uplinks.Plan, string, []uplinks.ChangedScope) {}

// awaitAgreement waits until the facts of the service equal those of a full observation, and the kernel is in sync. From
// then on the service observes only the scopes of events.
func (w *followedHost) awaitAgreement(what string) {
	w.t.Helper()
	var facts uplinks.Facts
	var state uplinks.State
	var err error
	var plan uplinks.Plan
	var diff string
	for until := time.Now().Add(agreementTimeout); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		w.gateway.Do(func() { facts, state, err = w.reference.Observe(w.t.Context()) })
		if err != nil {
			w.t.Fatal(err)
		}
		settings := w.settings.ResolveLinks(facts)
		kept := facts.WithRefused(settings, state, nil) // a path that is left out stays as it is
		plan, diff = uplinks.Diff(uplinks.Desired(settings, kept, nil), state), w.diffFacts(facts)
		plan = slices.DeleteFunc(plan, func(s uplinks.Step) bool { return isGroupOfLinkDown(s, facts) })
		if len(plan) == 0 && diff == "" && w.service.reconciler.Report().InSync {
			return
		}
	}
	w.t.Errorf("%s: steps that are missing:\n%s\nfacts (- is the host, + the service):\n%s", what, plan, diff)
}

// isGroupOfLinkDown reports whether the step sets the group of a link that is down.
func isGroupOfLinkDown(s uplinks.Step, f uplinks.Facts) bool {
	set, is := s.(uplinks.SetTunable)
	return is && set.Tunable.Name == uplinks.LinkGroup && !f.Links[set.Tunable.Link].Up
}

// diffFacts returns how the facts differ from those of the service, apart from routes through gateways, which only a resync
// reads, and from alternative names and groups of links that are down, of which no event tells (netdev_state_change in
// net/core/dev.c).
func (w *followedHost) diffFacts(f uplinks.Facts) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	exact := cmp.Exporter(func(reflect.Type) bool { return true })
	part := func(f uplinks.Facts) uplinks.Facts {
		links := maps.Clone(f.Links)
		for name, l := range links {
			if !l.Up {
				l.AltNames, l.Group = nil, 0
				links[name] = l
			}
		}
		return uplinks.Facts{IPv6: f.IPv6, Links: links, ForeignRules: f.ForeignRules, UnreachableDefault: f.UnreachableDefault, Firewalls: f.Firewalls, MixedBackends: f.MixedBackends}
	}
	return cmp.Diff(part(f), part(w.facts), exact, cmpopts.EquateEmpty())
}

// followedSettings returns three uplinks, whose gateways come from main, the configuration, and a foreign table.
func followedSettings() uplinks.Settings {
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

// addressScript defines the shell function dress, which gives an uplink its addresses and default routes.
const addressScript = `
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

func newFollowedHost(t *testing.T, backend marks.Backend) *followedHost {
	t.Helper()
	w := world.New(t)
	gw := w.Host("gw")
	for _, name := range []string{"eth0", "eth1", "eth2", "lan0"} {
		w.Join(gw, name, w.Host("isp"), name)
	}
	gw.Run("sh", "-ec", addressScript+"for l in eth0 eth1 eth2; do dress $l; done; ip addr add 198.18.0.1/24 dev lan0")
	f := follow(t, backend, followedSettings(), gw)
	f.isp = w.Host("isp")
	f.awaitAgreement("the first round")
	return f
}

func TestEveryHostEventIsFollowed(t *testing.T) {
	w := newFollowedHost(t, marks.NFT)
	for _, c := range hostEvents {
		for _, script := range c.scripts {
			t.Run(c.name, func(t *testing.T) {
				w.t = t
				if output, err := w.gateway.Command(t.Context(), "sh", "-ec", addressScript+script).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", script, err, output)
				}
				w.awaitAgreement(script)
			})
		}
	}
}
