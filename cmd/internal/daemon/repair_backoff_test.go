package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks"
)

func setStep(name string) uplinks.Step {
	return uplinks.SetTunable{Tunable: uplinks.Tunable{Name: name}, Value: "1"}
}

func TestBackoffGrowsToItsMaximum(t *testing.T) {
	b, now := NewRepairBackoff(), time.Now()
	var waits []time.Duration
	for range 40 {
		act, wait, next := b.Split(uplinks.Plan{setStep("a")}, now)
		if len(wait) == 1 {
			waits = append(waits, next)
			now = now.Add(next)
			act, _, _ = b.Split(uplinks.Plan{setStep("a")}, now)
		}
		if len(act) != 1 {
			t.Fatal("the repair did not come when it was promised")
		}
		b.RecordRepairs(act, now)
	}
	if len(waits) != 40-freeRepairs-1 {
		t.Errorf("%d repairs waited, want all but the first %d", len(waits), freeRepairs+1)
	}
	for i := 1; i < len(waits); i++ {
		if waits[i] < waits[i-1] || waits[i] > maxBackoff {
			t.Errorf("wait %d is %v after %v", i, waits[i], waits[i-1])
		}
	}
	if waits[len(waits)-1] != maxBackoff {
		t.Errorf("the last wait is %v", waits[len(waits)-1])
	}
}

func TestBackoffIsPerObject(t *testing.T) {
	r, now := NewRepairBackoff(), time.Now()
	for range 20 {
		r.RecordRepairs(uplinks.Plan{setStep("fought")}, now)
	}
	act, wait, _ := r.Split(uplinks.Plan{setStep("fought"), setStep("calm")}, now)
	if len(act) != 1 || act[0] != setStep("calm") || len(wait) != 1 {
		t.Errorf("acts on %v, waits with %v", act, wait)
	}
}

func TestRepairHistoryExpires(t *testing.T) {
	r, now := NewRepairBackoff(), time.Now()
	for range 20 {
		r.RecordRepairs(uplinks.Plan{setStep("a")}, now)
	}
	now = now.Add(maxBackoff + historyTime + time.Second)
	if fought := r.RecordRepairs(uplinks.Plan{setStep("a")}, now); len(fought) != 0 {
		t.Errorf("%v is still held against somebody", fought)
	}
	now = now.Add(time.Hour)
	r.UpdateDesired(uplinks.NewState(), uplinks.NewState, now)
	if len(r.history) != 0 {
		t.Errorf("remembers %v", r.history)
	}
}

func TestFlappingLinkIsNotBackedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRepairBackoff()
		with, without := uplinks.NewState(), uplinks.NewState()
		with.Rules[uplinks.Rule{Family: uplinks.IPv4, Priority: 2002}] = true
		with.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = "8200"
		found := uplinks.NewState()
		found.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = "0"
		wanted := without
		want := func(s uplinks.State) {
			r.UpdateDesired(s, func() uplinks.State { return wanted }, time.Now())
			wanted = s
		}
		for range 20 {
			want(with)
			act, wait, _ := r.Split(uplinks.Diff(with, found), time.Now())
			if len(act) != 2 || len(wait) != 0 {
				t.Fatalf("acts on %v, waits with %v", act, wait)
			}
			if fought := r.RecordRepairs(act, time.Now()); len(fought) != 0 {
				t.Fatalf("somebody is suspected of %v", fought)
			}
			want(without)
			r.RecordRepairs(uplinks.Diff(without, with), time.Now())
			time.Sleep(time.Second)
		}
	})
}
