package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"
)

// recordedMoves is a kernel that notes the uplinks whose connections it deletes, and moves.
type recordedMoves struct {
	mu               sync.Mutex
	deleted, uplinks []string
	moves            []uplinks.Move // as uplinks
}

func (r *recordedMoves) DeleteTranslated(moves ...uplinks.Move) ([]host.Moved, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range moves {
		r.deleted = append(r.deleted, m.Path.Uplink)
	}
	return make([]host.Moved, len(moves)), nil
}

func (r *recordedMoves) MoveConnections(moves ...uplinks.Move) ([]host.Moved, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range moves {
		r.uplinks, r.moves = append(r.uplinks, m.Path.Uplink), append(r.moves, m)
	}
	return make([]host.Moved, len(moves)), nil
}

// all returns the moves.
func (r *recordedMoves) all() []uplinks.Move {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.moves)
}

// runMover carries out the moves of the mover until stop, which waits for its end.
func runMover(t *testing.T, m *outboundMover) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	return func() {
		cancel()
		<-ended
	}
}

// startRecordedMover returns a reconciler whose mover runs until stop, and what is moved.
func startRecordedMover(t *testing.T) (k *Reconciler, kernel *observedKernel, moved *recordedMoves, stop func()) {
	t.Helper()
	k, kernel = newOutboundReconciler(t, outboundTestSettings())
	moved = &recordedMoves{}
	k.mover.kernel = moved
	return k, kernel, moved, runMover(t, k.mover)
}

// failFibre fails over from fibre, and waits until its connections were moved once.
func failFibre(t *testing.T, k *Reconciler) {
	t.Helper()
	k.setFibre(uplinks.VerdictDown)
	k.FailOver(t.Context())
	synctest.Wait()
}

// What has begun by an uplink since it is in use again is not moved by the second sweep.
func TestConnectionsOfAnUplinkInUseAgainAreNotMoved(t *testing.T) {
	for name, want := range map[string][]string{"down": {"fibre", "fibre"}, "down and up": {"fibre"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, _, moved, stop := startRecordedMover(t)
				failFibre(t, k)
				if name == "down and up" {
					k.setFibre(uplinks.VerdictUp)
					k.FailOver(t.Context())
				}
				time.Sleep(2 * secondSweep)
				stop()
				if !slices.Equal(moved.uplinks, want) {
					t.Errorf("moved those of %v, want %v", moved.uplinks, want)
				}
			})
		})
	}
}

// A second sweep after a reload that gives the mark to another uplink ends none of that one's connections.
func TestSecondSweepFollowsItsUplink(t *testing.T) {
	for name, change := range map[string]func(s *uplinks.Settings){
		"its id is taken":   func(s *uplinks.Settings) { s.Uplinks = s.Uplinks[1:]; s.Uplinks[0].ID = 1 },
		"ids are exchanged": func(s *uplinks.Settings) { *s = exchangedIDs(*s) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, _, moved, stop := startRecordedMover(t)
				failFibre(t, k)
				s := outboundTestSettings()
				own := k.lastFacts.Links[s.Uplinks[0].Link].Addrs
				change(&s)
				k.SetSettings(s, "test")
				for range 2 {
					k.Reconcile(t.Context(), "test")
				}
				synctest.Wait()
				before := len(moved.all()) // some of them while the mark was of no uplink
				time.Sleep(2 * secondSweep)
				stop()
				for _, m := range moved.moves[before:] {
					taken := s.Uplinks[0].Link
					for _, a := range k.lastFacts.Links[taken].Addrs {
						if m.Mark == 0x2100 && (!m.LostOnly || m.HasLost(a.Prefix.Addr()) && !a.LinkLocal) {
							t.Errorf("connections of %s are ended: %+v", taken, m)
						}
					}
				}
				second := func(m uplinks.Move) bool {
					return m.Mark == s.Mask.Mark(s.Uplinks[len(s.Uplinks)-1].ID)|0x2000 && m.LostOnly && m.HasLost(own[0].Prefix.Addr())
				}
				if name == "ids are exchanged" && !slices.ContainsFunc(moved.moves[before:], second) {
					t.Errorf("there is no second sweep: %+v", moved.moves)
				}
			})
		})
	}
}

// The connections of a removed uplink are moved before the rules that lead its packets there go, and twice again. While a step that comes
// before fails, neither is done.
func TestConnectionsOfARemovedUplinkAreMovedBeforeItsRulesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, kernel, moved, stop := startRecordedMover(t)
		deleted := 0
		refuse := errors.New("refused")
		kernel.Fail = func(step uplinks.Step) error {
			if _, is := step.(uplinks.LoadChains); is {
				return refuse
			}
			if del, is := step.(uplinks.DelRule); is && del.Rule.Mark == 0x100 {
				if deleted++; len(moved.all()) != 2 {
					t.Errorf("%s after %d moves", step, len(moved.all()))
				}
			}
			return nil
		}
		s := outboundTestSettings()
		s.Uplinks = s.Uplinks[1:]
		k.SetSettings(s, "test")
		k.Reconcile(t.Context(), "test")
		if deleted > 0 || len(moved.all()) > 0 {
			t.Errorf("while chains are refused: %d rules are deleted, %d moves", deleted, len(moved.all()))
		}
		refuse = nil
		k.Reconcile(t.Context(), "test")
		time.Sleep(2 * secondSweep)
		stop()
		if deleted == 0 || len(moved.moves) != 6 {
			t.Errorf("%d rules are deleted, %d moves", deleted, len(moved.moves))
		}
	})
}

// busyMover is a kernel that takes its time for the first move.
type busyMover struct {
	recordedMoves
	release chan struct{}
	calls   int
}

func (b *busyMover) MoveConnections(moves ...uplinks.Move) ([]host.Moved, error) {
	b.mu.Lock()
	b.calls++
	first := b.calls == 1
	b.mu.Unlock()
	if first {
		<-b.release
	}
	return b.recordedMoves.MoveConnections(moves...)
}

// What comes while connections are listed is deleted by the kernel at once, and listed together, each path once, and before what was in
// flight.
func TestMovesThatWaitAreCarriedOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newOutboundReconciler(t, outboundTestSettings())
		kernel := &busyMover{release: make(chan struct{})}
		k.mover.kernel = kernel
		k.mover.inForce.Store(nil)
		stop := runMover(t, k.mover)
		queue := func(names ...string) {
			var moves []uplinks.Move
			for _, name := range names {
				moves = append(moves, uplinks.Move{Path: uplinks.PathKey{Uplink: name, Family: uplinks.IPv4}, Family: uplinks.IPv4})
			}
			k.mover.queue(moves)
			synctest.Wait()
		}
		k.mover.queue([]uplinks.Move{{Path: uplinks.PathKey{Uplink: "a", Family: uplinks.IPv4}, Family: uplinks.IPv4, AtInit: true}})
		synctest.Wait()
		queue("b", "c")
		queue("c", "d")
		check := func(when string, calls int, deleted, listed []string) {
			t.Helper()
			kernel.mu.Lock()
			defer kernel.mu.Unlock()
			if kernel.calls != calls || !slices.Equal(kernel.deleted, deleted) || !slices.Equal(kernel.uplinks, listed) {
				t.Errorf("%s: the kernel deletes those of %v, and in %d lists are %v; want %v, %d, %v", when, kernel.deleted, kernel.calls, kernel.uplinks, deleted, calls, listed)
			}
		}
		deleted := []string{"a", "b", "c", "c", "d"}
		check("during a list", 1, deleted, nil)
		time.Sleep(2 * secondSweep) // the second sweep of the first move is due
		close(kernel.release)
		synctest.Wait()
		check("after it", 3, deleted, []string{"a", "b", "c", "d", "a"})
		time.Sleep(2 * secondSweep)
		check("in the end", 4, deleted, []string{"a", "b", "c", "d", "a", "b", "c", "d"})
		stop()
	})
}

// timedMover deletes 5 connections of each path in 2 ms, and moves one more and ends a socket 3 ms later, in a sweep that takes 10 ms.
type timedMover struct{ sweeps int }

func (m *timedMover) DeleteTranslated(moves ...uplinks.Move) (moved []host.Moved, err error) {
	time.Sleep(2 * time.Millisecond)
	for range moves {
		moved = append(moved, host.Moved{Connections: 5, Written: time.Now()})
	}
	return moved, nil
}

func (m *timedMover) MoveConnections(moves ...uplinks.Move) (moved []host.Moved, err error) {
	began := time.Now()
	time.Sleep(10 * time.Millisecond)
	for range moves {
		moved = append(moved, host.Moved{})
		if m.sweeps == 0 {
			moved[len(moved)-1] = host.Moved{Connections: 1, Sockets: 1, Written: began.Add(3 * time.Millisecond)}
		}
	}
	m.sweeps++
	return moved, nil
}

// The time of a sweep is that of its last write, and of its end if it writes nothing.
func TestAMoveIsReportedWithTheTimeOfItsLastWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newOutboundReconciler(t, outboundTestSettings())
		k.mover.kernel = &timedMover{}
		stop := runMover(t, k.mover)
		began := time.Now()
		k.setFibre(uplinks.VerdictDown)
		k.FailOver(t.Context())
		time.Sleep(2 * secondSweep)
		move := k.mover.states.Status().Of("fibre", uplinks.IPv4).LastMove
		want := health.OutboundMove{At: began, Reason: "it is down", Connections: 6, Sockets: 1, Milliseconds: 5, SecondSweepMilliseconds: 512}
		if move == nil || *move != want {
			t.Errorf("%+v, want %+v", move, want)
		}
		stop()
	})
}
