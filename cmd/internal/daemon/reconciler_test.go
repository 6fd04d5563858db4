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

	"replypath/marks"
	"replypath/uplinks"
)

// refusingKernel refuses every write, and every read too if observeFails.
type refusingKernel struct{ observeFails bool }

var errRefused = errors.New("refused")

func (r *refusingKernel) Observe(context.Context, ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	if r.observeFails {
		return uplinks.Facts{}, uplinks.State{}, errors.New("cannot read")
	}
	return uplinks.Facts{}, uplinks.NewState(), nil
}

func (*refusingKernel) Apply(context.Context, uplinks.Step) error { return errRefused }

func TestFailureIsRetriedAndLoggedOnce(t *testing.T) {
	var logged bytes.Buffer
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{Name: "a", ID: marks.ID(1), Link: "eth0", Gateway4: uplinks.Gateway{Auto: true}, WhenDown: uplinks.Hold}}
	kernel := &refusingKernel{}
	k := NewReconciler(kernel, slog.New(slog.NewTextHandler(&logged, nil)), s, &verdicts{queue: newRoundQueue()}, noListener{})
	for range 10 {
		if next := k.Reconcile(t.Context(), "test"); next != retryInterval {
			t.Errorf("the next attempt comes after %s", next)
		}
	}
	if r := k.Report(); r.InSync || !errors.Is(r.Err, errRefused) {
		t.Errorf("report %+v", r)
	}
	if n := strings.Count(logged.String(), "will retry"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, logged.String())
	}
	kernel.observeFails = true
	for range 10 {
		k.Reconcile(t.Context(), "test")
	}
	if n := strings.Count(logged.String(), "will retry"); n != 2 {
		t.Errorf("another error is logged %d times:\n%s", n-1, logged.String())
	}
}

func TestOutOfSyncSinceTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &refusingKernel{}
		k := newTestReconciler(kernel, uplinks.DefaultSettings())
		k.Reconcile(t.Context(), "test")
		if r := k.Report(); !r.InSync {
			t.Fatalf("%+v", r)
		}
		time.Sleep(time.Minute)
		kernel.observeFails = true
		failed := time.Now()
		for range 2 {
			k.Reconcile(t.Context(), "test")
			if r := k.Report(); r.InSync || !r.Since.Equal(failed) {
				t.Errorf("out of sync since %s, and failed at %s", r.Since, failed)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestProblemsCountWaitingRepairs(t *testing.T) {
	now := time.Now()
	for n, want := range map[int]string{1: "1 repair waits, ", 2: "2 repairs wait, "} {
		if got := problems(Report{Last: now, Waiting: n}, now); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
