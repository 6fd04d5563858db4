package daemon

import (
	"testing"
	"time"

	"replypath/uplinks"
)

func set(name string) uplinks.Step {
	return uplinks.SetTunable{Tunable: uplinks.Tunable{Name: name}, Value: "1"}
}

func TestARivalIsMetLessAndLessOftenButNeverGivenUp(t *testing.T) {
	r, now := NewRestraint(), time.Now()
	var waits []time.Duration
	for range 40 {
		act, wait, next := r.Split(uplinks.Plan{set("a")}, now)
		if len(wait) == 1 {
			waits = append(waits, next)
			now = now.Add(next)
			act, _, _ = r.Split(uplinks.Plan{set("a")}, now)
		}
		if len(act) != 1 {
			t.Fatal("the repair did not come when it was promised")
		}
		r.Done(act, now)
	}
	if len(waits) != 40-tolerated-1 {
		t.Errorf("%d repairs waited, want all but the first %d", len(waits), tolerated+1)
	}
	for i := 1; i < len(waits); i++ {
		if waits[i] < waits[i-1] || waits[i] > longest {
			t.Errorf("wait %d is %v after %v", i, waits[i], waits[i-1])
		}
	}
	if waits[len(waits)-1] != longest {
		t.Errorf("the last wait is %v", waits[len(waits)-1])
	}
}

func TestARivalOfOneObjectIsNotFeltByAnother(t *testing.T) {
	r, now := NewRestraint(), time.Now()
	for range 20 {
		r.Done(uplinks.Plan{set("fought")}, now)
	}
	act, wait, _ := r.Split(uplinks.Plan{set("fought"), set("calm")}, now)
	if len(act) != 1 || act[0] != set("calm") || len(wait) != 1 {
		t.Errorf("acts on %v, waits with %v", act, wait)
	}
}

func TestWhatWasRightForLongStartsAnew(t *testing.T) {
	r, now := NewRestraint(), time.Now()
	for range 20 {
		r.Done(uplinks.Plan{set("a")}, now)
	}
	now = now.Add(longest + forgotten + time.Second)
	if fought := r.Done(uplinks.Plan{set("a")}, now); len(fought) != 0 {
		t.Errorf("%v is still held against somebody", fought)
	}
	r.Done(uplinks.Plan{set("b")}, now.Add(time.Hour))
	if len(r.offences) != 1 {
		t.Errorf("remembers %v", r.offences)
	}
}
