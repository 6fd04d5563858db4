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
			withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
				r.advance(2 * time.Minute)
				r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
				r.advance(900 * time.Millisecond) // questions are open
				r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
				r.monitor.UpdateLink("eth0", event.up, event.carrier)
				r.expectStates("at once", health.Down, health.Up)
				if got := r.status("fibre").Reason; got != event.reason {
					t.Errorf("%q, want %q", got, event.reason)
				}
				if r.network.inFlight != 0 {
					t.Errorf("%d questions are open", r.network.inFlight)
				}
				asked := r.network.count("fibre")
				r.advance(time.Minute)
				if more := r.network.count("fibre") - asked; more != 0 {
					t.Errorf("%d questions were put through a link that is down", more)
				}
				r.monitor.UpdateLink("eth0", true, true)
				r.expectStates("the link is back, nobody has answered", health.Down, health.Up)
				if took := r.waitForState("fibre", health.Up); took < 4*time.Second || took > 4*time.Second+50*time.Millisecond {
					t.Errorf("five good answers, the first asked at once, took %v", took)
				}
				r.advance(time.Second)
				if got := r.status("fibre"); got.Probes[0].Lost != 0 || got.StateChanges != 2 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestConfigureAfterALinkEventChangesNothing(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(time.Minute)
		r.monitor.UpdateLink("eth0", true, false)
		r.paths[0].Carrier = false
		r.paths[0].Gateway = health.Path{}.Gateway // the kernel took the route away
		r.configure()
		if got := r.status("fibre"); got.State != health.Down || got.Reason != "no carrier on eth0" || len(got.Probes) != 1 {
			t.Errorf("%+v", got)
		}
		r.paths[0] = testPath("fibre", 0, 4)
		r.configure()
		if took := r.waitForState("fibre", health.Up); took < 4*time.Second {
			t.Errorf("up after %v", took)
		}
	})
}

func TestWithoutProbesTheCarrierDecides(t *testing.T) {
	withMonitor(t, []string{"ppp"}, nil, func(r *harness) {
		r.paths[0].Gateway, r.paths[0].OnLink = health.Path{}.Gateway, true
		r.configure()
		r.expectStates("at once", health.Up)
		r.monitor.UpdateLink("eth0", true, false)
		r.expectStates("no carrier", health.Down)
		r.monitor.UpdateLink("eth0", true, true)
		r.expectStates("carrier", health.Up)
		for range 3 { // a cable that is loose
			r.monitor.UpdateLink("eth0", true, false)
			r.monitor.UpdateLink("eth0", true, true)
		}
		r.expectStates("it flaps", health.Down)
		if got := r.status("ppp"); got.Flaps == 0 || got.HoldDownSeconds != 10 {
			t.Errorf("%+v", got)
		}
		r.advance(10 * time.Second)
		r.expectStates("it has held for long enough", health.Up)
	})
}

func TestUndecidedProbeDecidesAfterTheLinkIsBack(t *testing.T) {
	withMonitor(t, []string{"ppp"}, nil, func(r *harness) {
		r.paths[0].Gateway, r.paths[0].OnLink = health.Path{}.Gateway, true
		r.configure()
		r.network.set(func(n *fakeNetwork) { n.blackholed["ppp"] = true })
		r.settings.Uplinks = []health.UplinkSettings{{Name: "ppp", Probes: []health.Probe{icmpProbe(targetHost)}, Quorum: 1}}
		r.configure()
		r.expectStates("a probe that has not decided leaves it as it was", health.Up)
		r.monitor.UpdateLink("eth0", true, false)
		r.monitor.UpdateLink("eth0", true, true)
		r.expectStates("nobody has answered since", health.Down)
		r.network.set(func(n *fakeNetwork) { n.blackholed["ppp"] = false })
		if took := r.waitForState("ppp", health.Up); took > 2*time.Second {
			t.Errorf("up after %v", took)
		}
	})
}

func TestStrayRepliesExpireWithoutProbes(t *testing.T) {
	withMonitor(t, []string{"ppp"}, nil, func(r *harness) {
		r.paths[0].Gateway, r.paths[0].OnLink = health.Path{}.Gateway, true
		r.configure()
		r.monitor.UpdateProof(r.paths[0].Key, health.Proof{})
		r.monitor.UpdateProof(r.paths[0].Key, health.Proof{Replies: health.ReplyCounts{Stray: 1}})
		r.expectStates("one strayed", health.Unproven)
		if took := r.waitForState("ppp", health.Up); took != time.Minute {
			t.Errorf("forgotten after %v", took)
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
			withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
				was := r.paths[0]
				change(&r.paths[0])
				r.configure()
				r.advance(0)
				begun := r.network.count("fibre") // one may have been under way already
				r.advance(time.Minute)
				if got := r.status("fibre"); got.State != health.Absent || got.Reason != reason || r.network.count("fibre") != begun {
					t.Errorf("%s: %s, %d questions", got.State, got.Reason, r.network.count("fibre")-begun)
				}
				r.paths[0] = was
				r.configure()
				if took := r.waitForState("fibre", health.Up); took > 50*time.Millisecond {
					t.Errorf("the first answer ever came, and it was up after %v", took)
				}
				change(&r.paths[0])
				r.configure()
				r.expectStates("it goes", health.Absent)
			})
		})
	}
}
