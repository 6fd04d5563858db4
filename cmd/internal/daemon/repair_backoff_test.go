package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"replypath/marks"
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
			t.Fatal("the repair is still delayed after the time that Split returned")
		}
		b.RecordRepairs(act, now)
	}
	if len(waits) != 40-freeRepairs-1 {
		t.Errorf("%d repairs were delayed, want all but the first %d", len(waits), freeRepairs+1)
	}
	for i := 1; i < len(waits); i++ {
		if waits[i] < waits[i-1] || waits[i] > maxBackoff {
			t.Errorf("delay %d is %v after %v", i, waits[i], waits[i-1])
		}
	}
	if waits[len(waits)-1] != maxBackoff {
		t.Errorf("the last delay is %v", waits[len(waits)-1])
	}
}

// Another program undoes a repair every half second for 20 seconds, and then no more.
func TestRepairComesTwoSecondsAfterTheLastUndo(t *testing.T) {
	b, start := NewRepairBackoff(), time.Now()
	broken, warnings, repairs := false, 0, 0
	for at := time.Duration(0); ; at += 50 * time.Millisecond {
		if at <= 20*time.Second && at%(500*time.Millisecond) == 0 {
			broken = true
		}
		if act, _, _ := b.Split(uplinks.Plan{setStep("a")}, start.Add(at)); broken && len(act) == 1 {
			contested, _ := b.RecordRepairs(act, start.Add(at))
			broken, warnings, repairs = false, warnings+len(contested), repairs+1
			if at >= 20*time.Second {
				break
			}
		}
		if at > 22*time.Second {
			t.Fatal("not repaired two seconds after the last undo")
		}
	}
	if warnings != 1 || repairs > 20 {
		t.Errorf("%d warnings and %d repairs in 20 seconds", warnings, repairs)
	}
}

// Another program flushes nftables every 100 milliseconds: each flush is repaired at once, and one warning names it.
func TestTableIsRepairedAtOnceInAFightToo(t *testing.T) {
	b, now := NewRepairBackoff(), time.Now()
	load := uplinks.LoadChains{Firewall: uplinks.FirewallKey{Family: uplinks.IPv4, Backend: marks.Nftables}}
	warnings := 0
	for i := range 100 {
		act, _, _ := b.Split(uplinks.Plan{load}, now)
		if len(act) != 1 {
			t.Fatalf("the flush number %d is not repaired at once", i+1)
		}
		contested, _ := b.RecordRepairs(act, now)
		warnings += len(contested)
		now = now.Add(100 * time.Millisecond)
	}
	if warnings != 1 {
		t.Errorf("%d warnings in ten seconds", warnings)
	}
	_, wait, next := b.Split(uplinks.Plan{load}, now.Add(-99*time.Millisecond))
	if len(wait) != 1 || next > tableBackoff {
		t.Errorf("a millisecond after a repair %d steps wait, for %s", len(wait), next)
	}
}

func TestBackoffIsPerObject(t *testing.T) {
	b, now := NewRepairBackoff(), time.Now()
	for range 20 {
		b.RecordRepairs(uplinks.Plan{setStep("contested")}, now)
	}
	act, wait, _ := b.Split(uplinks.Plan{setStep("contested"), setStep("other")}, now)
	if len(act) != 1 || act[0] != setStep("other") || len(wait) != 1 {
		t.Errorf("executes %v, delays %v", act, wait)
	}
}

func TestRepairHistoryExpires(t *testing.T) {
	b, now := NewRepairBackoff(), time.Now()
	for range 20 {
		b.RecordRepairs(uplinks.Plan{setStep("a")}, now)
	}
	now = now.Add(maxBackoff + historyTime + time.Second)
	if contested, _ := b.RecordRepairs(uplinks.Plan{setStep("a")}, now); len(contested) != 0 {
		t.Errorf("after an expired history %v is delayed", contested)
	}
	now = now.Add(time.Hour)
	b.UpdateDesired(uplinks.NewState(), uplinks.NewState, now)
	if len(b.history) != 0 {
		t.Errorf("the history still has %v", b.history)
	}
}

func TestFlappingLinkIsNotBackedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewRepairBackoff()
		with, without := uplinks.NewState(), uplinks.NewState()
		with.Rules[uplinks.Rule{Family: uplinks.IPv4, Priority: 2002}] = true
		with.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = "8200"
		actual := uplinks.NewState()
		actual.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = "0"
		desired := without
		update := func(s uplinks.State) {
			b.UpdateDesired(s, func() uplinks.State { return desired }, time.Now())
			desired = s
		}
		for range 20 {
			update(with)
			act, wait, _ := b.Split(uplinks.Diff(with, actual), time.Now())
			if len(act) != 2 || len(wait) != 0 {
				t.Fatalf("executes %v, delays %v", act, wait)
			}
			if contested, _ := b.RecordRepairs(act, time.Now()); len(contested) != 0 {
				t.Fatalf("%v is delayed", contested)
			}
			update(without)
			b.RecordRepairs(uplinks.Diff(without, with), time.Now())
			time.Sleep(time.Second)
		}
	})
}
