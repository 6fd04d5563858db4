package monitor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
)

// targetBad reports whether the target of the uplink's first probe is bad.
func (h *harness) targetBad(uplink string) bool { return h.status(uplink).Probes[0].BadTarget }

func TestTargetThatFailsOnAllUplinksTakesNoUplinkDown(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 45 * time.Millisecond {
		withMonitor(t, []string{"fibre", "lte", "dsl"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
			h.network.set(func(n *fakeNetwork) { n.slowUplinks["lte"] = 390 * time.Millisecond })
			h.advance(10*time.Second + phase)
			h.newEvents()
			h.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
			h.advance(10 * time.Second)
			h.expectStates("the target is dead", health.Up, health.Up, health.Up)
			for _, name := range []string{"fibre", "lte", "dsl"} {
				if got := h.status(name); !h.targetBad(name) || got.Probes[0].Up || got.Degraded != "icmp://203.0.113.9 answers on no uplink and is ignored" {
					t.Errorf("phase %v, %s: %+v, degraded: %q", phase, name, got.Probes[0], got.Degraded)
				}
			}
			h.advance(5 * time.Minute)
			h.network.set(func(n *fakeNetwork) { delete(n.deadHosts, targetHost) })
			h.advance(time.Minute)
			h.expectStates("the target answers again", health.Up, health.Up, health.Up)
			if h.targetBad("fibre") || h.status("lte").Degraded != "" {
				t.Errorf("bad %v, degraded %q", h.targetBad("fibre"), h.status("lte").Degraded)
			}
			if events := h.newEvents(); !slices.Equal(events, []string{"target  good→bad", "target  bad→good"}) {
				t.Errorf("phase %v: emitted %q", phase, events)
			}
		})
	}
}

func TestBadTargetThatAnswersOneUplinkTakesTheOthersDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = true; delete(n.deadHosts, targetHost) })
		h.advance(10 * time.Second)
		h.expectStates("one of two answers", health.Up, health.Down)
		if h.targetBad("fibre") || h.targetBad("lte") {
			t.Error("the target is still bad")
		}
	})
}

func TestBadTargetIsExcludedFromTheQuorum(t *testing.T) {
	gateway := health.NewProbe("gateway", health.Target{Kind: health.Gateway})
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{gateway, icmpProbe(targetHost)}, func(h *harness) {
		for i := range h.paths {
			h.paths[i].Gateway = testPath("", 99+i, 4).Source
			h.settings.Uplinks[i].Quorum = 2
		}
		h.configure()
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		h.advance(10 * time.Second)
		h.expectStates("the gateways answer", health.Up, health.Up)
		h.network.set(func(n *fakeNetwork) { n.deadHosts[h.paths[1].Gateway.String()] = true })
		h.advance(10 * time.Second)
		h.expectStates("a gateway is dead", health.Up, health.Down)
		if got := h.status("lte").Reason; !strings.HasPrefix(got, "no probe is answered: gateway: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestFailureIsAttributedToTheLastUplinkWhenTheOthersAreDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(time.Minute)
		h.network.set(func(n *fakeNetwork) { n.blackholed["lte"] = true })
		if took := h.waitForState("lte", health.Down); took > icmpProbe(targetHost).DetectionTime() {
			t.Errorf("down after %v", took)
		}
		h.expectStates("both", health.Down, health.Down)
		if h.targetBad("fibre") || h.targetBad("lte") {
			t.Error("the target is bad")
		}
	})
}

func TestWithOnlyABadTargetTheCarrierDecides(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		h.advance(time.Second)
		h.expectStates("no probe has decided", health.Down, health.Down)
		h.advance(9 * time.Second)
		h.expectStates("the target is bad", health.Up, health.Up)
		h.monitor.UpdateLink("eth0", true, false)
		h.expectStates("no carrier", health.Down, health.Up)
		h.monitor.UpdateLink("eth0", true, true)
		h.expectStates("the carrier is back", health.Up, health.Up)
		h.advance(10 * time.Second)
		h.expectStates("after ten probes", health.Up, health.Up)
	})
}

func TestFailureExpeditesTheProbeOfAnotherUplink(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		slowProbe := icmpProbe(targetHost)
		slowProbe.Interval = time.Minute
		h.settings.Uplinks[1].Probes = []health.Probe{slowProbe}
		h.configure()
		h.advance(90 * time.Second)
		before := h.network.count("lte")
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		if took := h.waitForState("fibre", health.Down); took > icmpProbe(targetHost).DetectionTime() {
			t.Errorf("down after %v", took)
		}
		if sent := h.network.count("lte") - before; sent != 1 {
			t.Errorf("%d probes were sent through the other uplink", sent)
		}
		h.expectStates("one is down", health.Down, health.Up)
	})
}

func TestBadTargetDoesNotKeepARestoredLinkDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		h.advance(10 * time.Second)
		h.monitor.UpdateLink("eth0", true, false)
		h.expectStates("no carrier", health.Down, health.Up)
		h.monitor.UpdateLink("eth0", true, true)
		h.advance(10 * time.Second)
		h.expectStates("the carrier is back", health.Up, health.Up)
	})
}

func TestGatewaysAreNotSharedTargets(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, nil, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"], n.blackholed["lte"] = true, true })
		h.advance(4 * time.Second)
		h.expectStates("both gateways are gone", health.Down, health.Down)
	})
}

func TestAttributionHasADeadline(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		patientProbe := icmpProbe(targetHost)
		patientProbe.Timeout, patientProbe.Retry, patientProbe.Fall = 5*time.Second, time.Second, 20
		h.settings.Uplinks[1].Probes = []health.Probe{patientProbe}
		h.configure()
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.deadHosts[targetHost] = true })
		if took, most := h.waitForState("fibre", health.Down), 2500*time.Millisecond+patientProbe.Interval+patientProbe.Timeout; took > most || took < patientProbe.Timeout {
			t.Errorf("down after %v, want at most %v", took, most)
		}
		h.expectStates("the probe with the long timeout has not decided", health.Down, health.Up)
	})
}

func TestTwoProbesOfOneUplinkAreNotCorrelated(t *testing.T) {
	twice := icmpProbe(targetHost)
	twice.Name = "again"
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost), twice}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(10 * time.Second)
		h.expectStates("a single uplink", health.Down)
	})
}
