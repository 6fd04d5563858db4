package monitor

import (
	"testing"
	"time"

	"replypath/health"
)

func TestLinkEventTakesTheUplinkDownAtOnce(t *testing.T) {
	for name, event := range map[string]struct {
		up, carrier bool
		reason      string
	}{
		"carrier":  {true, false, "no carrier on eth0"},
		"IFF_DOWN": {false, false, "eth0 is down"},
	} {
		t.Run(name, func(t *testing.T) {
			withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
				h.advance(2 * time.Minute)
				h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
				h.advance(900 * time.Millisecond) // probes are in flight
				h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
				h.monitor.UpdateLink("eth0", event.up, event.carrier)
				h.expectStates("at once", health.Down, health.Up)
				if got := h.status("fibre").Reason; got != event.reason {
					t.Errorf("%q, want %q", got, event.reason)
				}
				if h.network.inFlight != 0 {
					t.Errorf("%d probes are in flight", h.network.inFlight)
				}
				sent := h.network.count("fibre")
				h.advance(time.Minute)
				if more := h.network.count("fibre") - sent; more != 0 {
					t.Errorf("%d probes were sent through a link that is down", more)
				}
				h.monitor.UpdateLink("eth0", true, true)
				h.expectStates("the link is up, no probe is answered yet", health.Down, health.Up)
				if took := h.waitForState("fibre", health.Up); took < 4*time.Second || took > 4*time.Second+50*time.Millisecond {
					t.Errorf("five answers, the first probe sent at once, took %v", took)
				}
				h.advance(time.Second)
				if got := h.status("fibre"); got.Probes[0].Lost != 0 || got.StateChanges != 2 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestConfigureAfterALinkEventChangesNothing(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(time.Minute)
		h.monitor.UpdateLink("eth0", true, false)
		h.paths[0].Carrier = false
		h.paths[0].Gateway = health.Path{}.Gateway // the kernel removes the routes of a link that is down
		h.configure()
		if got := h.status("fibre"); got.State != health.Down || got.Reason != "no carrier on eth0" || len(got.Probes) != 1 {
			t.Errorf("%+v", got)
		}
		h.paths[0] = testPath("fibre", 0, 4)
		h.configure()
		if took := h.waitForState("fibre", health.Up); took < 4*time.Second {
			t.Errorf("up after %v", took)
		}
	})
}

func TestWithoutProbesTheCarrierDecides(t *testing.T) {
	withMonitor(t, []string{"ppp"}, nil, func(h *harness) {
		h.paths[0].Gateway, h.paths[0].OnLink = health.Path{}.Gateway, true
		h.configure()
		h.expectStates("at once", health.Up)
		h.monitor.UpdateLink("eth0", true, false)
		h.expectStates("no carrier", health.Down)
		h.monitor.UpdateLink("eth0", true, true)
		h.expectStates("carrier", health.Up)
		for range 3 { // a loose cable
			h.monitor.UpdateLink("eth0", true, false)
			h.monitor.UpdateLink("eth0", true, true)
		}
		h.expectStates("flapping", health.Down)
		if got := h.status("ppp"); got.Flaps == 0 || got.HoldDownSeconds != 10 {
			t.Errorf("%+v", got)
		}
		h.advance(10 * time.Second)
		h.expectStates("after the hold-down", health.Up)
	})
}

func TestUndecidedProbeDecidesAfterTheLinkIsBack(t *testing.T) {
	withMonitor(t, []string{"ppp"}, nil, func(h *harness) {
		h.paths[0].Gateway, h.paths[0].OnLink = health.Path{}.Gateway, true
		h.configure()
		h.network.set(func(n *fakeNetwork) { n.blackholed["ppp"] = true })
		h.settings.Uplinks = []health.UplinkSettings{{Name: "ppp", Probes: []health.Probe{icmpProbe(targetHost)}, Quorum: 1}}
		h.configure()
		h.expectStates("the state stays while a new probe is undecided", health.Up)
		h.monitor.UpdateLink("eth0", true, false)
		h.monitor.UpdateLink("eth0", true, true)
		h.expectStates("no probe is answered since", health.Down)
		h.network.set(func(n *fakeNetwork) { n.blackholed["ppp"] = false })
		if took := h.waitForState("ppp", health.Up); took > 2*time.Second {
			t.Errorf("up after %v", took)
		}
	})
}

func TestStrayRepliesExpireWithoutProbes(t *testing.T) {
	withMonitor(t, []string{"ppp"}, nil, func(h *harness) {
		h.paths[0].Gateway, h.paths[0].OnLink = health.Path{}.Gateway, true
		h.configure()
		h.monitor.UpdateProof(h.paths[0].Key, health.Proof{})
		h.monitor.UpdateProof(h.paths[0].Key, health.Proof{Replies: health.ReplyCounts{Stray: 1}})
		h.expectStates("a stray reply", health.Unproven)
		if took := h.waitForState("ppp", health.Up); took != time.Minute {
			t.Errorf("expired after %v", took)
		}
	})
}

func TestMissingLinkAddressOrGatewayMakesItAbsent(t *testing.T) {
	for reason, change := range map[string]func(p *health.Path){
		"there is no link eth0": func(p *health.Path) { *p = health.Path{Key: p.Key, ID: p.ID, Link: p.Link} },
		"eth0 is in a VRF, whose table 77 is looked up before replypath's rules": func(p *health.Path) {
			*p = health.Path{Key: p.Key, ID: p.ID, Link: p.Link, VRF: 77}
		},
		"eth0 has no IPv4 address":         func(p *health.Path) { p.Source = health.Path{}.Source },
		"no IPv4 gateway is known on eth0": func(p *health.Path) { p.Gateway = health.Path{}.Gateway },
	} {
		t.Run(reason, func(t *testing.T) {
			withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
				was := h.paths[0]
				change(&h.paths[0])
				h.configure()
				h.advance(0)
				sentBefore := h.network.count("fibre") // one may have been in flight
				h.advance(time.Minute)
				if got := h.status("fibre"); got.State != health.Absent || got.Reason != reason || h.network.count("fibre") != sentBefore {
					t.Errorf("%s: %s, %d probes", got.State, got.Reason, h.network.count("fibre")-sentBefore)
				}
				h.paths[0] = was
				h.configure()
				if took := h.waitForState("fibre", health.Up); took > 50*time.Millisecond {
					t.Errorf("up %v after the first answer", took)
				}
				change(&h.paths[0])
				h.configure()
				h.expectStates("missing again", health.Absent)
			})
		})
	}
}
