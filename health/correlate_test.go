package health

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// targetBad reports whether the uplink's first probe has a bad target.
func (r *harness) targetBad(uplink string) bool { return r.status(uplink).Probes[0].BadTarget }

func TestTargetThatFailsOnAllUplinksTakesNoUplinkDown(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 45 * time.Millisecond {
		withMonitor(t, []string{"fibre", "lte", "dsl"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
			r.network.set(func(n *fakeNetwork) { n.slowUplinks["lte"] = 390 * time.Millisecond })
			r.advance(10*time.Second + phase)
			r.newEvents()
			r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
			r.advance(10 * time.Second)
			r.expectStates("the target is dead", Up, Up, Up)
			for _, name := range []string{"fibre", "lte", "dsl"} {
				if got := r.status(name); !r.targetBad(name) || got.Probes[0].Up || got.Degraded != "icmp://203.0.113.9 answers on no uplink: a bad target" {
					t.Errorf("phase %v, %s: %+v, degraded: %q", phase, name, got.Probes[0], got.Degraded)
				}
			}
			r.advance(5 * time.Minute)
			r.network.set(func(n *fakeNetwork) { delete(n.deadHosts, targetHost) })
			r.advance(time.Minute)
			r.expectStates("the target is back", Up, Up, Up)
			if r.targetBad("fibre") || r.status("lte").Degraded != "" {
				t.Errorf("bad %v, degraded %q", r.targetBad("fibre"), r.status("lte").Degraded)
			}
			if news := r.newEvents(); !slices.Equal(news, []string{"target  good→bad", "target  bad→good"}) {
				t.Errorf("phase %v: told %q", phase, news)
			}
		})
	}
}

func TestBadTargetThatAnswersOneUplinkTakesTheOthersDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = true; delete(n.deadHosts, targetHost) })
		r.advance(10 * time.Second)
		r.expectStates("one of two answers", Up, Down)
		if r.targetBad("fibre") || r.targetBad("lte") {
			t.Error("the target is still bad")
		}
	})
}

func TestBadTargetIsExcludedFromTheQuorum(t *testing.T) {
	gateway := NewProbe("gateway", Target{Kind: Gateway})
	withMonitor(t, []string{"fibre", "lte"}, []Probe{gateway, icmpProbe(targetHost)}, func(r *harness) {
		for i := range r.paths {
			r.paths[i].Gateway = testPath("", 99+i, 4).Source
			r.settings.Uplinks[i].Quorum = 2
		}
		r.configure()
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(10 * time.Second)
		r.expectStates("the gateways answer", Up, Up)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[r.paths[1].Gateway.String()] = true })
		r.advance(10 * time.Second)
		r.expectStates("a gateway is dead", Up, Down)
		if got := r.status("lte").Reason; !strings.HasPrefix(got, "nobody answers: gateway: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestFailureIsAttributedToTheLastUplinkWhenTheOthersAreDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(time.Minute)
		r.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = true })
		if took := r.waitForState("lte", Down); took > icmpProbe(targetHost).DetectionTime() {
			t.Errorf("down after %v", took)
		}
		r.expectStates("both", Down, Down)
		if r.targetBad("fibre") || r.targetBad("lte") {
			t.Error("the target is blamed")
		}
	})
}

func TestWithOnlyABadTargetTheCarrierDecides(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(time.Second)
		r.expectStates("not judged yet", Down, Down)
		r.advance(9 * time.Second)
		r.expectStates("the target is bad", Up, Up)
		r.monitor.UpdateLink("eth0", true, false)
		r.expectStates("no carrier", Down, Up)
		r.monitor.UpdateLink("eth0", true, true)
		r.expectStates("the carrier is back", Up, Up)
		r.advance(10 * time.Second)
		r.expectStates("and stays", Up, Up)
	})
}

func TestFailureExpeditesTheProbeOfAnotherUplink(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		seldom := icmpProbe(targetHost)
		seldom.Interval = time.Minute
		r.settings.Uplinks[1].Probes = []Probe{seldom}
		r.configure()
		r.advance(90 * time.Second)
		before := r.network.count("lte")
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		if took := r.waitForState("fibre", Down); took > icmpProbe(targetHost).DetectionTime() {
			t.Errorf("down after %v", took)
		}
		if asked := r.network.count("lte") - before; asked != 1 {
			t.Errorf("the other was asked %d times", asked)
		}
		r.expectStates("one is down", Down, Up)
	})
}

func TestBadTargetDoesNotKeepARestoredLinkDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(10 * time.Second)
		r.monitor.UpdateLink("eth0", true, false)
		r.expectStates("no carrier", Down, Up)
		r.monitor.UpdateLink("eth0", true, true)
		r.advance(10 * time.Second)
		r.expectStates("the carrier is back", Up, Up)
	})
}

func TestGatewaysAreNotSharedTargets(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, nil, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"], n.blackholed["lte"] = true, true })
		r.advance(4 * time.Second)
		r.expectStates("both gateways are gone", Down, Down)
	})
}

func TestAttributionHasADeadline(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		patient := icmpProbe(targetHost)
		patient.Timeout, patient.Retry, patient.Fall = 5*time.Second, time.Second, 20
		r.settings.Uplinks[1].Probes = []Probe{patient}
		r.configure()
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		if took, most := r.waitForState("fibre", Down), 2500*time.Millisecond+patient.Interval+patient.Timeout; took > most || took < patient.Timeout {
			t.Errorf("it waited %v, and %v are enough", took, most)
		}
		r.expectStates("the patient one is not sure yet", Down, Up)
	})
}

func TestTwoProbesOfOneUplinkAreNotCorrelated(t *testing.T) {
	twice := icmpProbe(targetHost)
	twice.Name = "again"
	withMonitor(t, []string{"fibre"}, []Probe{icmpProbe(targetHost), twice}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(10 * time.Second)
		r.expectStates("a single uplink", Down)
	})
}
