package monitor

import (
	"testing"
	"time"
)

func TestFlapsDoubleTheHoldDownAndStayingUpHalvesIt(t *testing.T) {
	var h holdDown
	now := time.Unix(1000, 0)
	up := func(d time.Duration) { h.cameUp(now); now = now.Add(d) }
	down := func(want time.Duration, flaps int) {
		t.Helper()
		if h.wentDown(now); h.penalty != want || h.flaps != flaps {
			t.Errorf("penalty %v after %d flaps, want %v after %d", h.penalty, h.flaps, want, flaps)
		}
		now = now.Add(time.Hour) // time spent down does not decay the penalty
	}
	now = now.Add(time.Second)
	down(0, 0) // up since the start
	up(2 * time.Minute)
	down(0, 0)
	up(time.Second)
	for i, want := range []int{10, 20, 40, 80, 160, 300, 300} {
		down(time.Duration(want)*time.Second, i+1)
		up(time.Second)
	}
	up(2 * time.Minute) // longer than flapWindow, but within the penalty
	down(maxHoldDown, 8)
	up(time.Second)
	h.cameUp(now.Add(-time.Second))
	for _, at := range []struct{ after, remains int }{
		{299, 300}, {300, 150}, {449, 150}, {450, 75}, {525, 37}, {584, 37}, {585, 18}, {645, 0}, {6000, 0},
	} {
		got := h.decayedPenalty(h.upSince.Add(time.Duration(at.after) * time.Second)).Truncate(time.Second)
		if want := time.Duration(at.remains) * time.Second; got != want {
			t.Errorf("after %d s up the penalty is %v, want %v", at.after, got, want)
		}
	}
	up(time.Hour)
	down(0, 8)
}

func TestHoldDownRestartsAfterAFailure(t *testing.T) {
	h := holdDown{penalty: 10 * time.Second}
	now := time.Unix(1000, 0)
	for _, at := range []struct {
		after, left int
		fails       bool
	}{{0, 10, false}, {4, 6, false}, {5, 5, true}, {7, 10, false}, {16, 1, false}, {17, 0, false}} {
		if got := h.succeeded(now.Add(time.Duration(at.after) * time.Second)); got != time.Duration(at.left)*time.Second {
			t.Errorf("after %d s %v are left", at.after, got)
		}
		if at.fails {
			h.failed()
		}
	}
}
