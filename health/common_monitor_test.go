package health

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// bad reports whether the uplink's first probe has a bad target.
func (r *rig) bad(uplink string) bool { return r.at(uplink).Probes[0].Bad }

func TestATargetThatFailsEverywhereTakesNobodyDown(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 45 * time.Millisecond {
		in(t, []string{"fibre", "lte", "dsl"}, []Probe{ping(pinged)}, func(r *rig) {
			r.net.set(func(n *internet) { n.slow["lte"] = 390 * time.Millisecond })
			r.pass(10*time.Second + phase)
			r.news()
			r.net.set(func(n *internet) { n.dead[pinged] = true })
			r.pass(10 * time.Second)
			r.expect("the target is dead", Up, Up, Up)
			for _, name := range []string{"fibre", "lte", "dsl"} {
				if got := r.at(name); !r.bad(name) || got.Probes[0].Up || got.Degraded != "icmp://203.0.113.9 answers on no uplink: a bad target" {
					t.Errorf("phase %v, %s: %+v, degraded: %q", phase, name, got.Probes[0], got.Degraded)
				}
			}
			r.pass(5 * time.Minute)
			r.net.set(func(n *internet) { delete(n.dead, pinged) })
			r.pass(time.Minute)
			r.expect("the target is back", Up, Up, Up)
			if r.bad("fibre") || r.at("lte").Degraded != "" {
				t.Errorf("bad %v, degraded %q", r.bad("fibre"), r.at("lte").Degraded)
			}
			if news := r.news(); !slices.Equal(news, []string{"target  good→bad", "target  bad→good"}) {
				t.Errorf("phase %v: told %q", phase, news)
			}
		})
	}
}

func TestABadTargetThatAnswersOneUplinkCountsAgainstTheOthers(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.dead[pinged] = true })
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.holes["lte"] = true; delete(n.dead, pinged) })
		r.pass(10 * time.Second)
		r.expect("one of two answers", Up, Down)
		if r.bad("fibre") || r.bad("lte") {
			t.Error("the target is still bad")
		}
	})
}

func TestABadTargetLeavesTheOthersToDecide(t *testing.T) {
	gateway := NewProbe("gateway", Target{Kind: Gateway})
	in(t, []string{"fibre", "lte"}, []Probe{gateway, ping(pinged)}, func(r *rig) {
		for i := range r.paths {
			r.paths[i].Gateway = pathOf("", 99+i, 4).Source
			r.settings.Uplinks[i].Quorum = 2
		}
		r.watch()
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.dead[pinged] = true })
		r.pass(10 * time.Second)
		r.expect("the gateways answer", Up, Up)
		r.net.set(func(n *internet) { n.dead[r.paths[1].Gateway.String()] = true })
		r.pass(10 * time.Second)
		r.expect("a gateway is dead", Up, Down)
		if got := r.at("lte").Reason; !strings.HasPrefix(got, "nobody answers: gateway: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestTheLastUplinkIsNotSavedByThoseThatAreDown(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.pass(time.Minute)
		r.net.set(func(n *internet) { n.holes["lte"] = true })
		if took := r.until("lte", Down); took > ping(pinged).Worst() {
			t.Errorf("down after %v", took)
		}
		r.expect("both", Down, Down)
		if r.bad("fibre") || r.bad("lte") {
			t.Error("the target is blamed")
		}
	})
}

func TestATargetThatNeverAnsweredIsBadAndTheLinkDecides(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.net.set(func(n *internet) { n.dead[pinged] = true })
		r.pass(time.Second)
		r.expect("not judged yet", Down, Down)
		r.pass(9 * time.Second)
		r.expect("the target is bad", Up, Up)
		r.monitor.Link("eth0", true, false)
		r.expect("no carrier", Down, Up)
		r.monitor.Link("eth0", true, true)
		r.expect("the carrier is back", Up, Up)
		r.pass(10 * time.Second)
		r.expect("and stays", Up, Up)
	})
}

func TestAFallWaitsForASlowWitnessAndAsksIt(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		seldom := ping(pinged)
		seldom.Interval = time.Minute
		r.settings.Uplinks[1].Probes = []Probe{seldom}
		r.watch()
		r.pass(90 * time.Second)
		before := r.net.count("lte")
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		if took := r.until("fibre", Down); took > ping(pinged).Worst() {
			t.Errorf("down after %v", took)
		}
		if asked := r.net.count("lte") - before; asked != 1 {
			t.Errorf("the other was asked %d times", asked)
		}
		r.expect("one is down", Down, Up)
	})
}

func TestABadTargetDoesNotHoldBackALinkThatIsBack(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.dead[pinged] = true })
		r.pass(10 * time.Second)
		r.monitor.Link("eth0", true, false)
		r.expect("no carrier", Down, Up)
		r.monitor.Link("eth0", true, true)
		r.pass(10 * time.Second)
		r.expect("the carrier is back", Up, Up)
	})
}

func TestGatewaysAreNoCommonTarget(t *testing.T) {
	in(t, []string{"fibre", "lte"}, nil, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.holes["fibre"], n.holes["lte"] = true, true })
		r.pass(4 * time.Second)
		r.expect("both gateways are gone", Down, Down)
	})
}

func TestAFallDoesNotWaitForEver(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		patient := ping(pinged)
		patient.Timeout, patient.Retry, patient.Fall = 5*time.Second, time.Second, 20
		r.settings.Uplinks[1].Probes = []Probe{patient}
		r.watch()
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.dead[pinged] = true })
		if took, most := r.until("fibre", Down), 2500*time.Millisecond+patient.Interval+patient.Timeout; took > most || took < patient.Timeout {
			t.Errorf("it waited %v, and %v are enough", took, most)
		}
		r.expect("the patient one is not sure yet", Down, Up)
	})
}

func TestTwoProbesForOneTargetAreNoTwoWitnesses(t *testing.T) {
	twice := ping(pinged)
	twice.Name = "again"
	in(t, []string{"fibre"}, []Probe{ping(pinged), twice}, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.pass(10 * time.Second)
		r.expect("a single uplink", Down)
	})
}
