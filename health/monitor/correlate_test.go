package monitor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
)

// targetBad reports whether the uplink's first probe has a bad target.
func (r *harness) targetBad(uplink string) bool { return r.status(uplink).Probes[0].BadTarget }

func TestTargetThatFailsOnAllUplinksTakesNoUplinkDown(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 45 * time.Millisecond {
		withMonitor(t, []string{"fibre", "lte", "dsl"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
			r.network.set(func(n *fakeNetwork) { n.slowUplinks["lte"] = 390 * time.Millisecond })
			r.advance(10*time.Second + phase)
			r.newEvents()
			r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
			r.advance(10 * time.Second)
			r.expectStates("the target is dead", health.Up, health.Up, health.Up)
			for _, name := range []string{"fibre", "lte", "dsl"} {
				if got := r.status(name); !r.targetBad(name) || got.Probes[0].Up || got.Degraded != "icmp://203.0.113.9 answers on no uplink and is ignored" {
					t.Errorf("phase %v, %s: %+v, degraded: %q", phase, name, got.Probes[0], got.Degraded)
				}
			}
			r.advance(5 * time.Minute)
			r.network.set(func(n *fakeNetwork) { delete(n.deadHosts, targetHost) })
			r.advance(time.Minute)
			r.expectStates("the target is back", health.Up, health.Up, health.Up)
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
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = true; delete(n.deadHosts, targetHost) })
		r.advance(10 * time.Second)
		r.expectStates("one of two answers", health.Up, health.Down)
		if r.targetBad("fibre") || r.targetBad("lte") {
			t.Error("the target is still bad")
		}
	})
}

func TestBadTargetIsExcludedFromTheQuorum(t *testing.T) {
	gateway := health.NewProbe("gateway", health.Target{Kind: health.Gateway})
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{gateway, icmpProbe(targetHost)}, func(r *harness) {
		for i := range r.paths {
			r.paths[i].Gateway = testPath("", 99+i, 4).Source
			r.settings.Uplinks[i].Quorum = 2
		}
		r.configure()
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(10 * time.Second)
		r.expectStates("the gateways answer", health.Up, health.Up)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[r.paths[1].Gateway.String()] = true })
		r.advance(10 * time.Second)
		r.expectStates("a gateway is dead", health.Up, health.Down)
		if got := r.status("lte").Reason; !strings.HasPrefix(got, "no probe is answered: gateway: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestFailureIsAttributedToTheLastUplinkWhenTheOthersAreDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(time.Minute)
		r.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = true })
		if took := r.waitForState("lte", health.Down); took > icmpProbe(targetHost).DetectionTime() {
			t.Errorf("down after %v", took)
		}
		r.expectStates("both", health.Down, health.Down)
		if r.targetBad("fibre") || r.targetBad("lte") {
			t.Error("the target is blamed")
		}
	})
}

func TestWithOnlyABadTargetTheCarrierDecides(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(time.Second)
		r.expectStates("not judged yet", health.Down, health.Down)
		r.advance(9 * time.Second)
		r.expectStates("the target is bad", health.Up, health.Up)
		r.monitor.UpdateLink("eth0", true, false)
		r.expectStates("no carrier", health.Down, health.Up)
		r.monitor.UpdateLink("eth0", true, true)
		r.expectStates("the carrier is back", health.Up, health.Up)
		r.advance(10 * time.Second)
		r.expectStates("and stays", health.Up, health.Up)
	})
}

func TestFailureExpeditesTheProbeOfAnotherUplink(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		seldom := icmpProbe(targetHost)
		seldom.Interval = time.Minute
		r.settings.Uplinks[1].Probes = []health.Probe{seldom}
		r.configure()
		r.advance(90 * time.Second)
		before := r.network.count("lte")
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		if took := r.waitForState("fibre", health.Down); took > icmpProbe(targetHost).DetectionTime() {
			t.Errorf("down after %v", took)
		}
		if asked := r.network.count("lte") - before; asked != 1 {
			t.Errorf("the other was asked %d times", asked)
		}
		r.expectStates("one is down", health.Down, health.Up)
	})
}

func TestBadTargetDoesNotKeepARestoredLinkDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		r.advance(10 * time.Second)
		r.monitor.UpdateLink("eth0", true, false)
		r.expectStates("no carrier", health.Down, health.Up)
		r.monitor.UpdateLink("eth0", true, true)
		r.advance(10 * time.Second)
		r.expectStates("the carrier is back", health.Up, health.Up)
	})
}

func TestGatewaysAreNotSharedTargets(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, nil, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"], n.blackholed["lte"] = true, true })
		r.advance(4 * time.Second)
		r.expectStates("both gateways are gone", health.Down, health.Down)
	})
}

func TestAttributionHasADeadline(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		patient := icmpProbe(targetHost)
		patient.Timeout, patient.Retry, patient.Fall = 5*time.Second, time.Second, 20
		r.settings.Uplinks[1].Probes = []health.Probe{patient}
		r.configure()
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		if took, most := r.waitForState("fibre", health.Down), 2500*time.Millisecond+patient.Interval+patient.Timeout; took > most || took < patient.Timeout {
			t.Errorf("it waited %v, and %v are enough", took, most)
		}
		r.expectStates("the patient one is not sure yet", health.Down, health.Up)
	})
}

func TestTwoProbesOfOneUplinkAreNotCorrelated(t *testing.T) {
	twice := icmpProbe(targetHost)
	twice.Name = "again"
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost), twice}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(10 * time.Second)
		r.expectStates("a single uplink", health.Down)
	})
}
