package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// flushedKernel is a kernel with a table of nftables that another program deletes.
type flushedKernel struct {
	*observedKernel
	table    map[uplinks.FirewallKey]uplinks.LoadChains
	prepared []uplinks.LoadChains
	lost     bool // the deletion has been announced
	restored int
}

func (k *flushedKernel) flush() {
	clear(k.table)
	k.lost = true
}

func (k *flushedKernel) Apply(ctx context.Context, s uplinks.Step) error {
	if load, is := s.(uplinks.LoadChains); is {
		k.table[load.Firewall] = load
		return nil
	}
	return k.Fake.Apply(ctx, s)
}

func (k *flushedKernel) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	facts, have, err := k.observedKernel.Observe(ctx, only...)
	if err != nil {
		return facts, have, err
	}
	for firewall, load := range k.table {
		for _, c := range load.Change.Chains {
			have.Chains[uplinks.ChainKey{Firewall: firewall, Name: c.Name}] = marks.ChainRules{Rules: c.Rules}
		}
		for _, h := range load.Change.Hooks {
			have.Hooks[uplinks.HookKey{Firewall: firewall, Hook: h.Hook}] = marks.HookState{Count: 1, Reachable: true}
		}
	}
	return facts, have, err
}

func (k *flushedKernel) PrepareTable(loads []uplinks.LoadChains) error {
	k.prepared = loads
	return nil
}

func (k *flushedKernel) RestoreTable() ([]uplinks.LoadChains, error) {
	if !k.lost {
		return nil, nil
	}
	k.lost = false
	k.restored++
	for _, load := range k.prepared {
		k.table[load.Firewall] = load
	}
	return k.prepared, nil
}

// newRestoreTest returns a reconciler that has put the settings in force, on a kernel whose backend is nftables.
func newRestoreTest(t *testing.T) (*Reconciler, *flushedKernel, *stepRecorder) {
	t.Helper()
	facts, recorder := uplinkstest.Facts(), &stepRecorder{}
	for family := range facts.Firewalls {
		facts.Firewalls[family] = uplinks.FirewallKey{Family: family, Backend: marks.Nftables, Command: "nft"}
	}
	kernel := &flushedKernel{observedKernel: &observedKernel{Fake: uplinkstest.NewFake(facts)}, table: map[uplinks.FirewallKey]uplinks.LoadChains{}}
	k := newTestReconciler(kernel, uplinkstest.Settings())
	k.listener = recorder
	for range 2 {
		k.Reconcile(t.Context(), "test")
	}
	if r := k.Report(); !r.InSync || len(kernel.prepared) != len(uplinks.Families) {
		t.Fatalf("%d families are prepared: %+v", len(kernel.prepared), r)
	}
	kernel.observations, recorder.follow = nil, nil
	return k, kernel, recorder
}

func TestLostTableIsRestoredWithoutReadingTheKernel(t *testing.T) {
	k, kernel, recorder := newRestoreTest(t)
	k.RestoreTable("firewall")
	recorder.want(t, "while the table is there", nil, nil)
	kernel.flush()
	k.RestoreTable("firewall")
	recorder.want(t, "after a flush", nil, []string{"because of firewall"})
	if len(kernel.observations) > 0 || kernel.restored != 1 || k.Report().Repairs[string(uplinks.KindChains)] != len(uplinks.Families) {
		t.Errorf("%d observations, restored %d times: %+v", len(kernel.observations), kernel.restored, k.Report())
	}
	k.Reconcile(t.Context(), "firewall")
	recorder.want(t, "the round that follows", nil, nil)
	if r := k.Report(); !r.InSync || r.Repairs[string(uplinks.KindChains)] != len(uplinks.Families) {
		t.Errorf("the round that follows: %+v", r)
	}
}

func TestLostTableIsLeftToTheRound(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, k *Reconciler, kernel *flushedKernel){
		"before new settings are in force": func(_ *testing.T, k *Reconciler, _ *flushedKernel) { k.SetSettings(uplinkstest.Settings(), "test") },
		"after a failure": func(t *testing.T, k *Reconciler, kernel *flushedKernel) {
			kernel.nextErr = errors.New("refused")
			k.Reconcile(t.Context(), "test")
		},
		"soon after the last time": func(_ *testing.T, k *Reconciler, kernel *flushedKernel) {
			kernel.flush()
			k.RestoreTable("firewall")
			kernel.restored--
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, kernel, _ := newRestoreTest(t)
				prepare(t, k, kernel)
				kernel.flush()
				k.RestoreTable("firewall")
				if kernel.restored != 0 {
					t.Error("it was restored at once")
				}
				time.Sleep(tableBackoff)
				k.Reconcile(t.Context(), "firewall")
				k.RestoreTable("firewall")
				if kernel.restored != 1 {
					t.Error("it was not restored after a round")
				}
			})
		})
	}
}

// The fight about the table is named by one warning for each family.
func TestFlushesAgainAndAgainAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, kernel, _ := newRestoreTest(t)
		var logged bytes.Buffer
		k.log = slog.New(slog.NewTextHandler(&logged, nil))
		k.suspects.Set(host.FirewallSubject, "nft (process 1)")
		for range 100 {
			kernel.flush()
			k.RestoreTable("firewall")
			time.Sleep(100 * time.Millisecond)
		}
		if kernel.restored != 100 {
			t.Errorf("restored %d times", kernel.restored)
		}
		if n := strings.Count(logged.String(), `suspect="nft (process 1)"`); n != len(uplinks.Families) {
			t.Errorf("%d warnings:\n%s", n, &logged)
		}
		if n := strings.Count(logged.String(), "level=INFO"); n != len(uplinks.Families)*freeRepairs {
			t.Errorf("%d repairs are logged:\n%s", n, &logged)
		}
	})
}
