package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/health/hook"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// unmovedConnections is a kernel whose moves are counted where they are queued.
type unmovedConnections struct{}

func (unmovedConnections) DeleteTranslated(...uplinks.Move) ([]host.Moved, error) {
	return nil, errors.New("nothing is deleted")
}

func (unmovedConnections) MoveConnections(...uplinks.Move) ([]host.Moved, error) {
	return nil, errors.New("nothing moves")
}

// newOutboundReconciler returns a reconciler that has put the settings in force, and its kernel.
func newOutboundReconciler(t *testing.T, s uplinks.Settings) (*Reconciler, *observedKernel) {
	t.Helper()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(uplinkstest.Facts())}
	k := newTestReconciler(kernel, s)
	log := slog.New(slog.DiscardHandler)
	states := newOutboundStates(&eventRecorder{events: &health.EventLog{}, hooks: hook.New(log), verdicts: k.verdicts, log: log}, log)
	k.mover = newOutboundMover(unmovedConnections{}, states, log)
	for range 3 {
		k.Reconcile(t.Context(), "test")
	}
	if r := k.Report(); !r.InSync {
		t.Fatalf("%+v", r)
	}
	kernel.observations = nil
	return k, kernel
}

// policyLink returns the link that the default route of the policy leads to, or "".
func policyLink(t *testing.T, k *observedKernel, s uplinks.Settings) string {
	t.Helper()
	_, have, err := k.Fake.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, route := range have.Routes {
		if key.Table == s.PolicyTable("all") && key.Family == uplinks.IPv4 && key.Metric != uplinks.LastMetric {
			return route.Link
		}
	}
	return ""
}

func TestVerdictsAreFollowedWithoutReadingTheKernel(t *testing.T) {
	s := outboundTestSettings()
	k, kernel := newOutboundReconciler(t, s)
	before := policyLink(t, kernel, s)
	k.verdicts.set(uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv4}, uplinks.VerdictDown)
	k.FailOver(t.Context())
	after := policyLink(t, kernel, s)
	if len(kernel.observations) > 0 || before == after || len(k.mover.waiting.moves) != 1 {
		t.Errorf("%d observations, the route is by %s and was by %s, %d moves", len(kernel.observations), after, before, len(k.mover.waiting.moves))
	}
	changes := k.Report().Changes
	k.FailOver(t.Context())
	k.Reconcile(t.Context(), "health of fibre")
	if r := k.Report(); !r.InSync || r.Changes != changes || len(k.mover.waiting.moves) != 1 {
		t.Errorf("the round that follows: %+v, %d moves", r, len(k.mover.waiting.moves))
	}
}

// Routes of all uplinks and families come before connections, and verdicts that come while they are written are followed first.
func TestVerdictsThatComeWhileRoutesAreWrittenAreMovedTogether(t *testing.T) {
	s := outboundTestSettings()
	k, kernel := newOutboundReconciler(t, s)
	other := uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv6}
	var written []uplinks.Family
	kernel.Fail = func(step uplinks.Step) error {
		if r, sets := step.(uplinks.SetRoute); sets {
			written = append(written, r.Key.Family)
			k.verdicts.set(other, uplinks.VerdictDown)
		}
		return nil
	}
	k.setFibre(uplinks.VerdictDown)
	k.FailOver(t.Context())
	if !slices.Contains(written, uplinks.IPv4) || !slices.Contains(written, uplinks.IPv6) || len(k.mover.waiting.moves) != 2 {
		t.Fatalf("routes of %v are written, %d moves wait", written, len(k.mover.waiting.moves))
	}
	if moves := k.mover.waiting.take(); moves[0].Family == moves[1].Family {
		t.Errorf("moves %+v", moves)
	}
}

func TestFailoverIsLeftToTheRound(t *testing.T) {
	for name, prepare := range map[string]func(k *Reconciler){
		"without [outbound]":               func(k *Reconciler) { k.lastSettings.Outbound = uplinks.Outbound{} },
		"before new settings are in force": func(k *Reconciler) { k.SetSettings(outboundTestSettings(), "test") },
		"after a failure":                  func(k *Reconciler) { k.inForce = false },
	} {
		t.Run(name, func(t *testing.T) {
			s := outboundTestSettings()
			k, kernel := newOutboundReconciler(t, s)
			before := policyLink(t, kernel, s)
			prepare(k)
			k.verdicts.set(uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv4}, uplinks.VerdictDown)
			k.FailOver(t.Context())
			if after := policyLink(t, kernel, s); after != before || len(k.mover.waiting.moves) != 0 {
				t.Errorf("the route is by %s and was by %s, %d moves", after, before, len(k.mover.waiting.moves))
			}
		})
	}
}

// busyKernel is a kernel that does something else while it is read, or while its firewall is changed.
type busyKernel struct {
	*observedKernel
	whileReading func(ctx context.Context)
	load         func(done <-chan struct{}) // runs beside a change of the firewall
}

func (k *busyKernel) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	if k.whileReading != nil {
		k.whileReading(ctx)
	}
	return k.observedKernel.Observe(ctx, only...)
}

// WhileLoading implements chainLoader.
func (k *busyKernel) WhileLoading(run func(done <-chan struct{})) { k.load = run }

// setFibre sets the verdict on the path of the first tier.
func (r *Reconciler) setFibre(v uplinks.Verdict) {
	r.verdicts.set(uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv4}, v)
}

func TestVerdictsInterruptTheReadingOfARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := outboundTestSettings()
		k, kernel := newOutboundReconciler(t, s)
		before := policyLink(t, kernel, s)
		var links []string
		k.kernel = &busyKernel{observedKernel: kernel, whileReading: func(ctx context.Context) {
			links = append(links, policyLink(t, kernel, s))
			if len(links) == 1 {
				k.setFibre(uplinks.VerdictDown)
				<-ctx.Done()
			}
		}}
		k.Reconcile(t.Context(), "test")
		if len(links) != 2 || links[0] != before || links[1] == before || len(k.mover.waiting.moves) != 1 {
			t.Errorf("the route is by %v when the kernel is read, was by %s; %d moves", links, before, len(k.mover.waiting.moves))
		}
		if r := k.Report(); !r.InSync || r.Err != nil {
			t.Errorf("%+v", r)
		}
	})
}

// A flapping uplink does not prevent repairs.
func TestVerdictsInterruptARoundOnlySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := outboundTestSettings()
		k, kernel := newOutboundReconciler(t, s)
		flaps, interrupted := 0, 0
		k.kernel = &busyKernel{observedKernel: kernel, whileReading: func(ctx context.Context) {
			k.setFibre([]uplinks.Verdict{uplinks.VerdictDown, uplinks.VerdictUp}[flaps%2])
			flaps++
			synctest.Wait()
			if ctx.Err() != nil {
				interrupted++
			}
		}}
		k.Reconcile(t.Context(), "test")
		if interrupted != maxInterruptions || flaps != maxInterruptions+1 {
			t.Errorf("interrupted %d times by %d flaps", interrupted, flaps)
		}
	})
}

// Routes follow verdicts while another program has the firewall locked. Connections would begin anew without it: they wait for the end.
func TestVerdictsAreFollowedWhileTheFirewallIsLocked(t *testing.T) {
	for name, failed := range map[string]error{"loaded": nil, "not loaded": errors.New("locked")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := outboundTestSettings()
				k, kernel := newOutboundReconciler(t, s)
				busy := &busyKernel{observedKernel: kernel}
				k.kernel = busy
				before := policyLink(t, kernel, s)
				dropHook(t, kernel)
				var links []string
				kernel.Fail = func(step uplinks.Step) error {
					if _, loads := step.(uplinks.LoadChains); !loads {
						return nil
					}
					done, ended := make(chan struct{}), make(chan struct{})
					go func() {
						defer close(ended)
						busy.load(done)
					}()
					for _, v := range []uplinks.Verdict{uplinks.VerdictDown, uplinks.VerdictUp, uplinks.VerdictDown} {
						k.setFibre(v)
						synctest.Wait()
						links = append(links, policyLink(t, kernel, s))
					}
					close(done)
					<-ended
					return failed
				}
				k.Reconcile(t.Context(), "test")
				changed := slices.ContainsFunc(links, func(l string) bool { return l != before })
				if !changed || links[1] != before || links[len(links)-1] == before || len(k.mover.waiting.moves) != 0 {
					t.Errorf("the route was by %s, then by %v, %d moves", before, links, len(k.mover.waiting.moves))
				}
				if !k.failsOver() {
					t.Error("no later verdict is followed")
				}
				kernel.Fail = nil
				k.Reconcile(t.Context(), "test")
				k.Reconcile(t.Context(), "test")
				if r := k.Report(); !r.InSync || policyLink(t, kernel, s) == before || len(k.mover.waiting.moves) != 1 {
					t.Errorf("in the end: %+v, by %s, %d moves", r, policyLink(t, kernel, s), len(k.mover.waiting.moves))
				}
			})
		})
	}
}

// dropHook removes a hook of outbound connections from the kernel, as another program does.
func dropHook(t *testing.T, kernel *observedKernel) {
	t.Helper()
	_, have, err := kernel.Fake.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := have
	want.Hooks = map[uplinks.HookKey]marks.HookState{}
	for key, state := range have.Hooks {
		if key.Hook.Builtin != "POSTROUTING" {
			want.Hooks[key] = state
		}
	}
	if _, err := uplinks.Execute(t.Context(), kernel, uplinks.Diff(want, have)); err != nil || len(want.Hooks) == len(have.Hooks) {
		t.Fatalf("no hook is dropped: %v", err)
	}
}
