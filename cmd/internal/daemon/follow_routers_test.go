package daemon

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

const oldMAC, newMAC = "02:00:00:00:0c:01", "02:00:00:00:0c:02"

// sharedLinkSettings returns the uplinks dsl and cable on eth1, beside one on eth0.
func sharedLinkSettings() uplinks.Settings {
	s := uplinkstest.Settings()
	cable := s.Uplinks[1]
	cable.Name, cable.ID = "cable", 3
	cable.Gateway4.Addr, cable.Gateway6.Addr = netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("fe80::3")
	s.Uplinks[1].Name = "dsl"
	s.Uplinks = append(s.Uplinks, cable)
	return s
}

// sharedLinkFacts returns facts with the hardware address of cable's router.
func sharedLinkFacts() uplinks.Facts {
	f := uplinkstest.Facts()
	l := f.Links["eth1"]
	l.MAC = "\x02\x00\x00\x00\x0a\x01"
	f.Links["eth1"] = l
	f.RouterMACs = map[string][]string{"dsl": {"02:00:00:00:0b:01"}, "cable": {oldMAC}}
	return f
}

// announcingKernel is a kernel that announces routers.
type announcingKernel struct {
	*busyKernel
	macs  map[string][]string
	found []uplinks.FoundRouter
	news  chan struct{}

	family uplinks.Family // that has changed last
}

// announce announces the hardware addresses of cable's routers.
func (k *announcingKernel) announce(macs ...string) {
	k.macs = maps.Clone(k.macs)
	k.macs["cable"] = macs
	close(k.news)
	k.news = make(chan struct{})
}

func (k *announcingKernel) LatestRouters(_ context.Context, f uplinks.Facts) (uplinks.Facts, uplinks.Family) {
	f.RouterMACs, f.FoundRouters = k.macs, k.found
	return f, k.family
}

func (k *announcingKernel) RoutersChanged() <-chan struct{} { return k.news }

// Observe reads the routers that are known at its end.
func (k *announcingKernel) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	f, have, err := k.busyKernel.Observe(ctx, only...)
	f, _ = k.LatestRouters(ctx, f)
	return f, have, err
}

// inRules reports in how many families the rules have the hardware address.
func (k *announcingKernel) inRules(t *testing.T, mac string) (n int) {
	t.Helper()
	_, have, err := k.Fake.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, chain := range have.Chains {
		if slices.ContainsFunc(chain.Rules, func(r marks.Rule) bool { return r.MAC == mac }) {
			n++
		}
	}
	return n
}

// newRouterTest returns a reconciler that has put the settings in force.
func newRouterTest(t *testing.T, s uplinks.Settings) (*Reconciler, *announcingKernel, *stepRecorder) {
	t.Helper()
	facts := sharedLinkFacts()
	observed := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	kernel := &announcingKernel{busyKernel: &busyKernel{observedKernel: observed}, news: make(chan struct{}), macs: facts.RouterMACs}
	k, recorder := newTestReconciler(kernel, s), &stepRecorder{}
	k.listener = recorder
	for range 2 {
		k.Reconcile(t.Context(), "test")
	}
	if r := k.Report(); !r.InSync || kernel.inRules(t, oldMAC) != len(uplinks.Families) {
		t.Fatalf("the rules of %d families have the router: %+v", kernel.inRules(t, oldMAC), r)
	}
	observed.observations, recorder.follow = nil, nil
	return k, kernel, recorder
}

func TestNewHardwareAddressIsFollowedWithoutReadingTheKernel(t *testing.T) {
	k, kernel, recorder := newRouterTest(t, sharedLinkSettings())
	k.FollowRouters(t.Context())
	recorder.want(t, "without a change", nil, nil)
	kernel.announce(newMAC, oldMAC)
	k.FollowRouters(t.Context())
	recorder.want(t, "after a change", []string{"because of router"}, nil)
	if len(kernel.observations) > 0 || kernel.inRules(t, newMAC) != len(uplinks.Families) || kernel.inRules(t, oldMAC) != len(uplinks.Families) {
		t.Errorf("%d observations, the rules of %d families have the router", len(kernel.observations), kernel.inRules(t, newMAC))
	}
	changes := k.Report().Changes
	k.FollowRouters(t.Context())
	k.Reconcile(t.Context(), "router")
	recorder.want(t, "the round that follows", nil, nil)
	if r := k.Report(); !r.InSync || r.Changes != changes {
		t.Errorf("the round that follows: %+v", r)
	}
}

// The entries of the other family still have the old address, and are asked for later.
func TestFamilyWhoseEntryHasChangedIsWrittenFirst(t *testing.T) {
	for _, family := range uplinks.Families {
		k, kernel, _ := newRouterTest(t, sharedLinkSettings())
		kernel.family = family
		var order []uplinks.Family
		kernel.Fail = func(s uplinks.Step) error {
			if load, is := s.(uplinks.LoadChains); is {
				order = append(order, load.Firewall.Family)
			}
			return nil
		}
		kernel.announce(newMAC, oldMAC)
		k.FollowRouters(t.Context())
		if len(order) != len(uplinks.Families) || order[0] != family {
			t.Errorf("an entry of %s changes: written in the order %v", family, order)
		}
	}
}

// A table of nftables that is deleted after a change comes back with it.
func TestTableIsRestoredWithTheLatestRouters(t *testing.T) {
	facts := sharedLinkFacts()
	for family := range facts.Firewalls {
		facts.Firewalls[family] = uplinks.FirewallKey{Family: family, Backend: marks.Nftables, Command: "nft"}
	}
	flushed := &flushedKernel{observedKernel: &observedKernel{Fake: uplinkstest.NewFake(facts)}, table: map[uplinks.FirewallKey]uplinks.LoadChains{}}
	kernel := &struct {
		*flushedKernel
		routerSource
	}{flushed, &announcingKernel{macs: map[string][]string{"cable": {newMAC}}, news: make(chan struct{})}}
	k := newTestReconciler(kernel, sharedLinkSettings())
	for range 2 {
		k.Reconcile(t.Context(), "test")
	}
	prepared := flushed.prepared
	k.FollowRouters(t.Context())
	if reflect.DeepEqual(prepared, flushed.prepared) || len(prepared) != len(uplinks.Families) {
		t.Errorf("%d families were prepared, and are not again", len(prepared))
	}
}

func TestRoutersAreLeftToTheRound(t *testing.T) {
	found := uplinks.FoundRouter{Uplink: "dsl", MAC: newMAC, ID: 31}
	anyRouter := sharedLinkSettings()
	anyRouter.Uplinks[1].AnyRouter = true
	for name, c := range map[string]struct {
		settings uplinks.Settings
		prepare  func(t *testing.T, k *Reconciler, kernel *announcingKernel)
	}{
		"before new settings are in force": {sharedLinkSettings(), func(_ *testing.T, k *Reconciler, _ *announcingKernel) { k.SetSettings(sharedLinkSettings(), "test") }},
		"after a failure": {sharedLinkSettings(), func(t *testing.T, k *Reconciler, kernel *announcingKernel) {
			kernel.nextErr = errors.New("refused")
			k.Reconcile(t.Context(), "test")
		}},
		"with a flow table": {sharedLinkSettings(), func(_ *testing.T, k *Reconciler, _ *announcingKernel) {
			k.lastSettings.Accelerate = &uplinks.Acceleration{}
		}},
		"of a router that was found": {anyRouter, func(t *testing.T, k *Reconciler, kernel *announcingKernel) {
			kernel.found = []uplinks.FoundRouter{found}
			for range 2 {
				k.Reconcile(t.Context(), "test")
			}
		}},
		"of many routers": {anyRouter, func(_ *testing.T, _ *Reconciler, kernel *announcingKernel) {
			for id := range marks.ID(marks.MaxLinear + 1) {
				kernel.found = append(kernel.found, uplinks.FoundRouter{Uplink: "dsl", MAC: "02:00:00:00:0d:01", ID: 31 - id})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k, kernel, _ := newRouterTest(t, c.settings)
			c.prepare(t, k, kernel)
			writes := kernel.Writes
			kernel.announce(newMAC, oldMAC)
			k.FollowRouters(t.Context())
			if kernel.Writes != writes {
				t.Errorf("%d steps were executed at once", kernel.Writes-writes)
			}
		})
	}
}

// A write that fails is not repeated before the round.
func TestRouterThatCannotBeFollowedIsLeftToTheRound(t *testing.T) {
	k, kernel, _ := newRouterTest(t, sharedLinkSettings())
	kernel.Fail = func(uplinks.Step) error { return errors.New("locked") }
	kernel.announce(newMAC, oldMAC)
	before := kernel.Writes
	k.FollowRouters(t.Context())
	writes := kernel.Writes
	k.FollowRouters(t.Context())
	if before == writes || kernel.Writes != writes {
		t.Errorf("%d steps, then %d", writes-before, kernel.Writes-writes)
	}
	kernel.Fail = nil
	for range 2 {
		k.Reconcile(t.Context(), "router")
	}
	if r := k.Report(); !r.InSync || kernel.inRules(t, newMAC) != len(uplinks.Families) || !k.followsRouters(time.Now()) {
		t.Errorf("after the round the rules of %d families have the router: %+v", kernel.inRules(t, newMAC), r)
	}
}

func TestRoutersInterruptTheReadingOfARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, kernel, _ := newRouterTest(t, sharedLinkSettings())
		var families []int
		kernel.whileReading = func(ctx context.Context) {
			families = append(families, kernel.inRules(t, newMAC))
			if len(families) == 1 {
				kernel.announce(newMAC, oldMAC)
				<-ctx.Done()
			}
		}
		k.Reconcile(t.Context(), "test")
		if want := []int{0, len(uplinks.Families)}; !slices.Equal(families, want) {
			t.Errorf("the rules of %v families have the router when the kernel is read, want %v", families, want)
		}
		if r := k.Report(); !r.InSync || r.Err != nil {
			t.Errorf("%+v", r)
		}
	})
}

// A router that keeps changing is left to the rounds, which it does not interrupt any more.
func TestRoutersAreFollowedOnlySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, kernel, recorder := newRouterTest(t, sharedLinkSettings())
		flaps, interrupted := 0, 0
		kernel.whileReading = func(ctx context.Context) {
			kernel.announce([]string{newMAC, oldMAC}[flaps%2])
			flaps++
			synctest.Wait()
			if ctx.Err() != nil {
				interrupted++
			}
		}
		k.Reconcile(t.Context(), "test")
		if followed := len(recorder.follow); interrupted != routerChangeBurst || flaps != routerChangeBurst+1 {
			t.Errorf("interrupted %d times by %d changes, followed %d times", interrupted, flaps, followed)
		}
		flaps, interrupted = 0, 0
		k.Reconcile(t.Context(), "test")
		if flaps != 1 || interrupted != 0 {
			t.Errorf("the next round was interrupted %d times by %d changes", interrupted, flaps)
		}
		kernel.whileReading = nil
		k.Reconcile(t.Context(), "test")
		time.Sleep(time.Second)
		recorder.follow = nil
		kernel.announce(newMAC, oldMAC, "02:00:00:00:0c:03")
		k.FollowRouters(t.Context())
		recorder.want(t, "a while later", []string{"because of router"}, nil)
	})
}
