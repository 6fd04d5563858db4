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

// refusing is a kernel that refuses every write, and reads when it is asked to.
type refusing struct{ deaf bool }

var errRefused = errors.New("refused")

func (r *refusing) Observe(context.Context, ...uplinks.Share) (uplinks.Facts, uplinks.State, error) {
	if r.deaf {
		return uplinks.Facts{}, uplinks.State{}, errors.New("deaf")
	}
	return uplinks.Facts{}, uplinks.NewState(), nil
}

func (*refusing) Apply(context.Context, uplinks.Step) error { return errRefused }

func TestWhatCannotBeDoneIsTriedAgainAndToldOnce(t *testing.T) {
	var said bytes.Buffer
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{Name: "a", ID: marks.ID(1), Link: "eth0", Gateway4: uplinks.Gateway{Auto: true}, WhenDown: uplinks.Hold}}
	kernel := &refusing{}
	k := NewKeeper(kernel, slog.New(slog.NewTextHandler(&said, nil)), s)
	for range 10 {
		if next := k.Round(t.Context(), "test"); next != soon {
			t.Errorf("tried again after %s", next)
		}
	}
	if r := k.Report(); r.InSync || !errors.Is(r.Err, errRefused) {
		t.Errorf("reported as %+v", r)
	}
	if n := strings.Count(said.String(), "will retry"); n != 1 {
		t.Errorf("told %d times:\n%s", n, said.String())
	}
	kernel.deaf = true
	for range 10 {
		k.Round(t.Context(), "test")
	}
	if n := strings.Count(said.String(), "will retry"); n != 2 {
		t.Errorf("another trouble is told %d times:\n%s", n-1, said.String())
	}
}

func TestOutOfSyncSinceTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &refusing{}
		k := NewKeeper(kernel, slog.New(slog.DiscardHandler), uplinks.DefaultSettings())
		k.Round(t.Context(), "test")
		if r := k.Report(); !r.InSync {
			t.Fatalf("%+v", r)
		}
		time.Sleep(time.Minute)
		kernel.deaf = true
		failed := time.Now()
		for range 2 {
			k.Round(t.Context(), "test")
			if r := k.Report(); r.InSync || !r.Since.Equal(failed) {
				t.Errorf("out of sync since %s, and failed at %s", r.Since, failed)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestTheProblemIsCounted(t *testing.T) {
	now := time.Now()
	for n, want := range map[int]string{1: "1 repair waits, ", 2: "2 repairs wait, "} {
		if got := problems(Report{Last: now, Waiting: n}, now); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
