package health

import (
	"testing"
	"time"
)

func TestABlackHoleIsFoundAndItsEndToo(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.expect("before an answer", Down, Down)
		r.pass(50 * time.Millisecond)
		r.expect("after the first answer", Up, Up)
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		if took := r.until("fibre", Down); took > 2500*time.Millisecond {
			t.Errorf("found after %v", took)
		}
		t.Log(r.at("fibre").Reason)
		r.expect("while one is gone", Down, Up)
		r.pass(time.Minute)
		r.net.set(func(n *internet) { n.holes["fibre"] = false })
		took := r.until("fibre", Up)
		t.Log(took, r.news())
	})
}
