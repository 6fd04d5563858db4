package health

import (
	"testing"
	"time"
)

func TestALinkEventTakesItsUplinkDownAtOnce(t *testing.T) {
	for name, event := range map[string]struct {
		up, carrier bool
		reason      string
	}{
		"carrier":  {true, false, "no carrier on eth0"},
		"IFF_DOWN": {false, false, "eth0 is down"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
				r.pass(2 * time.Minute)
				r.net.set(func(n *internet) { n.holes["fibre"] = true })
				r.pass(900 * time.Millisecond) // questions are open
				r.net.set(func(n *internet) { n.holes["fibre"] = false })
				r.monitor.Link("eth0", event.up, event.carrier)
				r.expect("at once", Down, Up)
				if got := r.at("fibre").Reason; got != event.reason {
					t.Errorf("%q, want %q", got, event.reason)
				}
				if r.net.open != 0 {
					t.Errorf("%d questions are open", r.net.open)
				}
				asked := r.net.count("fibre")
				r.pass(time.Minute)
				if more := r.net.count("fibre") - asked; more != 0 {
					t.Errorf("%d questions were put through a link that is down", more)
				}
				r.monitor.Link("eth0", true, true)
				r.expect("the link is back, nobody has answered", Down, Up)
				if took := r.until("fibre", Up); took < 4*time.Second || took > 4*time.Second+50*time.Millisecond {
					t.Errorf("five good answers, the first asked at once, took %v", took)
				}
				r.pass(time.Second)
				if got := r.at("fibre"); got.Probes[0].Lost != 0 || got.Changes != 2 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestAWatchAfterALinkEventChangesNothing(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(time.Minute)
		r.monitor.Link("eth0", true, false)
		r.paths[0].Carrier = false
		r.paths[0].Gateway = Path{}.Gateway // the kernel took the route away
		r.watch()
		if got := r.at("fibre"); got.State != Down || got.Reason != "no carrier on eth0" || len(got.Probes) != 1 {
			t.Errorf("%+v", got)
		}
		r.paths[0] = pathOf("fibre", 0, 4)
		r.watch()
		if took := r.until("fibre", Up); took < 4*time.Second {
			t.Errorf("up after %v", took)
		}
	})
}

func TestWithoutAnybodyToAskTheLinkDecides(t *testing.T) {
	in(t, []string{"ppp"}, nil, func(r *rig) {
		r.paths[0].Gateway, r.paths[0].Direct = Path{}.Gateway, true
		r.watch()
		r.expect("at once", Up)
		r.monitor.Link("eth0", true, false)
		r.expect("no carrier", Down)
		r.monitor.Link("eth0", true, true)
		r.expect("carrier", Up)
		for range 3 { // a cable that is loose
			r.monitor.Link("eth0", true, false)
			r.monitor.Link("eth0", true, true)
		}
		r.expect("it flaps", Down)
		if got := r.at("ppp"); got.Flaps == 0 || got.HoldDown != 10 {
			t.Errorf("%+v", got)
		}
		r.pass(10 * time.Second)
		r.expect("it has held for long enough", Up)
	})
}

func TestWhatWasNeverAskedIsAskedWhenTheLinkIsBack(t *testing.T) {
	in(t, []string{"ppp"}, nil, func(r *rig) {
		r.paths[0].Gateway, r.paths[0].Direct = Path{}.Gateway, true
		r.watch()
		r.net.set(func(n *internet) { n.holes["ppp"] = true })
		r.settings.Uplinks = []Uplink{{Name: "ppp", Probes: []Probe{ping(pinged)}, Quorum: 1}}
		r.watch()
		r.expect("a probe that has not decided leaves it as it was", Up)
		r.monitor.Link("eth0", true, false)
		r.monitor.Link("eth0", true, true)
		r.expect("nobody has answered since", Down)
		r.net.set(func(n *internet) { n.holes["ppp"] = false })
		if took := r.until("ppp", Up); took > 2*time.Second {
			t.Errorf("up after %v", took)
		}
	})
}

func TestStraysAreForgottenWithoutAnyProbe(t *testing.T) {
	in(t, []string{"ppp"}, nil, func(r *rig) {
		r.paths[0].Gateway, r.paths[0].Direct = Path{}.Gateway, true
		r.watch()
		r.monitor.Prove(r.paths[0].Key, Proof{})
		r.monitor.Prove(r.paths[0].Key, Proof{Seen: Seen{Stray: 1}})
		r.expect("one strayed", Unproven)
		if took := r.until("ppp", Up); took != time.Minute {
			t.Errorf("forgotten after %v", took)
		}
	})
}

func TestWhatIsMissingMakesItAbsent(t *testing.T) {
	for reason, change := range map[string]func(p *Path){
		"there is no link eth0": func(p *Path) { *p = Path{Key: p.Key, ID: p.ID, Link: p.Link} },
		"eth0 is in a VRF, whose table 77 is asked before any rule of ours": func(p *Path) {
			*p = Path{Key: p.Key, ID: p.ID, Link: p.Link, VRF: 77}
		},
		"eth0 has no IPv4 address":         func(p *Path) { p.Source = Path{}.Source },
		"no IPv4 gateway is known on eth0": func(p *Path) { p.Gateway = Path{}.Gateway },
	} {
		t.Run(reason, func(t *testing.T) {
			in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
				was := r.paths[0]
				change(&r.paths[0])
				r.watch()
				r.pass(0)
				begun := r.net.count("fibre") // one may have been under way already
				r.pass(time.Minute)
				if got := r.at("fibre"); got.State != Absent || got.Reason != reason || r.net.count("fibre") != begun {
					t.Errorf("%s: %s, %d questions", got.State, got.Reason, r.net.count("fibre")-begun)
				}
				r.paths[0] = was
				r.watch()
				if took := r.until("fibre", Up); took > 50*time.Millisecond {
					t.Errorf("the first answer ever came, and it was up after %v", took)
				}
				change(&r.paths[0])
				r.watch()
				r.expect("it goes", Absent)
			})
		})
	}
}
