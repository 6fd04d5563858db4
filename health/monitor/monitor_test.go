package monitor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

func TestBlackHoleTakesTheUplinkDownAndUpAgain(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.expectStates("before an answer", health.Down, health.Down)
		if got := r.status("fibre"); got.Reason != "waiting for the first answer: icmp://203.0.113.9: not answered yet" || got.StateChanges != 0 {
			t.Errorf("%q, %d changes", got.Reason, got.StateChanges)
		}
		r.advance(50 * time.Millisecond)
		r.expectStates("after the first answer", health.Up, health.Up)
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		if took := r.waitForState("fibre", health.Down); took > 2500*time.Millisecond {
			t.Errorf("found after %v", took)
		}
		r.expectStates("while one is gone", health.Down, health.Up)
		if got, want := r.status("fibre").Reason, "no probe is answered: icmp://203.0.113.9: no answer in 1s (3 lost)"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		r.advance(time.Minute)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		if took := r.waitForState("fibre", health.Up); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("five good answers, one in a second, took %v", took)
		}
		got := r.status("fibre")
		if got.StateChanges != 2 || got.Flaps != 0 || got.Reason != "" || got.HoldDownSeconds != 0 || !got.Since.Equal(time.Now()) {
			t.Errorf("%+v", got)
		}
		if p := got.Probes[0]; !p.Up || p.Error != "" || p.Sent < 60 || p.Lost < 60 || p.RTTSeconds != 0.02 || p.LossPercent < 50 || !strings.Contains(got.Degraded, "of the last probes lost") {
			t.Errorf("%+v, %q", p, got.Degraded)
		}
		want := []string{"state fibre →up", "state lte →up", "state fibre up→down", "state fibre down→up"}
		if news := r.newEvents(); !slices.Equal(news[2:], want[2:]) || len(news) != 4 {
			t.Errorf("told %q", news)
		}
	})
}

func TestEveryBlackHoleIsDetectedWithinTheDetectionTime(t *testing.T) {
	slow := icmpProbe(targetHost)
	slow.Interval, slow.Fall = 10*time.Second, 1
	for _, p := range []health.Probe{icmpProbe(targetHost), slow} {
		for phase := time.Duration(0); phase < p.Interval; phase += p.Interval / 40 {
			withMonitor(t, []string{"fibre", "lte"}, []health.Probe{p}, func(r *harness) {
				r.advance(3*p.Interval + phase)
				r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
				took := r.waitForState("fibre", health.Down)
				if took > p.DetectionTime() || p.DetectionTime() > 3*p.Timeout+p.Interval {
					t.Errorf("phase %v: found after %v, the worst is %v", phase, took, p.DetectionTime())
				}
				if usual := p.Interval + p.Timeout + time.Duration(p.Fall-1)*p.Retry; took > usual+50*time.Millisecond {
					t.Errorf("phase %v: found after %v, usually %v are enough", phase, took, usual)
				}
				r.expectStates("the other", health.Down, health.Up)
			})
		}
	}
}

func TestUplinkIsNotUpBeforeItsFirstAnswer(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(time.Second)
		if news := r.newEvents(); r.status("fibre").State != health.Down || len(news) != 0 {
			t.Errorf("before it is judged: %+v, told %q", r.status("fibre"), news)
		}
		r.advance(time.Second)
		if news := r.newEvents(); !slices.Equal(news, []string{"state fibre →down"}) {
			t.Errorf("told %q", news)
		}
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		if took := r.waitForState("fibre", health.Up); took < 4*time.Second {
			t.Errorf("up after %v: five answers in a row were needed", took)
		}
	})
}

func TestProbeThatCannotBeSentIsLostAtOnce(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.sendFails["fibre"] = true })
		if took := r.waitForState("fibre", health.Down); took > health.DefaultInterval+2*health.DefaultRetry {
			t.Errorf("down after %v", took)
		}
	})
}

func TestFlappingUplinkIsHeldDown(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(r *harness) {
		var took []time.Duration
		for range 4 {
			r.advance(10 * time.Second)
			r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
			r.waitForState("fibre", health.Down)
			r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
			took = append(took, r.waitForState("fibre", health.Up).Truncate(time.Second))
		}
		for i, want := range []time.Duration{0, 10, 20, 40} {
			if got := took[i] - want*time.Second; got < 4*time.Second || got > 6*time.Second {
				t.Errorf("after %d flaps it is up after %v", i, took[i])
			}
		}
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.waitForState("fibre", health.Down)
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		r.advance(8 * time.Second)
		got := r.status("fibre")
		if got.Flaps != 4 || got.HoldDownSeconds > 78 || got.HoldDownSeconds < 74 || !strings.Contains(got.Reason, "held down for 1m20s after 4 flaps") {
			t.Errorf("%d flaps, %v s left: %s", got.Flaps, got.HoldDownSeconds, got.Reason)
		}
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(3 * time.Second)
		if got := r.status("fibre"); got.HoldDownSeconds != 80 {
			t.Errorf("it fails again, and %v s are left", got.HoldDownSeconds)
		}
	})
}

func TestLossAndLatencyDegrade(t *testing.T) {
	p := icmpProbe(targetHost)
	p.Latency = health.LatencyThresholds{High: 200 * time.Millisecond, Low: 100 * time.Millisecond}
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{p}, func(r *harness) {
		r.network.set(func(n *fakeNetwork) { n.slowUplinks["fibre"] = 300 * time.Millisecond })
		r.advance(time.Minute)
		r.expectStates("slow is not down", health.Up, health.Up)
		if got := r.status("fibre").Degraded; got != "icmp://203.0.113.9: mean round-trip time 300ms" {
			t.Errorf("%q", got)
		}
		if got := r.status("lte").Degraded; got != "" {
			t.Errorf("the other is degraded: %s", got)
		}
	})
}

func TestQuorumOfTwoNeedsTwoAnswers(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost), icmpProbe(otherHost)}, func(r *harness) {
		r.settings.Uplinks[1].Quorum = 2
		r.configure()
		r.advance(10 * time.Second)
		r.network.set(func(n *fakeNetwork) { n.unreachable["lte "+otherHost] = true })
		r.advance(4 * time.Second)
		r.expectStates("one of two is lost on lte", health.Up, health.Down)
		if got, want := r.status("lte").Reason, "1 of 2 probes are answered, the quorum is 2: icmp://203.0.113.10: no answer in 1s ("; !strings.HasPrefix(got, want) {
			t.Errorf("%q", got)
		}
		r.settings.Uplinks = slices.Clone(r.settings.Uplinks)
		r.settings.Uplinks[1].Quorum = 1
		r.configure()
		r.expectStates("one of two is enough now", health.Up, health.Up)
		if got := r.status("lte").Degraded; !strings.HasPrefix(got, "icmp://203.0.113.10: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestFamiliesAreIndependent(t *testing.T) {
	six := health.NewProbe("six", health.Target{Kind: health.ICMP, Host: "2001:db8:1::1"})
	name := health.NewProbe("name", health.Target{Kind: health.TCP, Host: "example.com", Port: 443})
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost), six, name}, func(r *harness) {
		r.paths = append(r.paths, testPath("fibre", 0, uplinks.IPv6))
		r.configure()
		r.advance(time.Second)
		for i, want := range []string{"icmp://203.0.113.9 tcp://example.com:443", "icmp://[2001:db8:1::1] tcp://example.com:443"} {
			var got []string
			for _, a := range r.monitor.Status()[0].Families[i].Probes {
				got = append(got, a.Target)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("asks %q, want %q", got, want)
			}
		}
		r.paths[1].Carrier = false
		r.configure()
		r.expectStates("the worst of the families", health.Down)
		if got := r.status("fibre").State; got != health.Up {
			t.Errorf("IPv4 is %s", got)
		}
	})
}

func TestProbesFor(t *testing.T) {
	withGateway, direct := testPath("a", 0, uplinks.IPv4), testPath("a", 0, uplinks.IPv4)
	direct.Gateway, direct.OnLink = health.Path{}.Gateway, true
	gateway := health.NewProbe("gw", health.Target{Kind: health.Gateway})
	six := health.NewProbe("six", health.Target{Kind: health.ICMP, Host: "2001:db8:1::1"})
	for name, c := range map[string]struct {
		probes []health.Probe
		path   health.Path
		want   []string
	}{
		"none: the gateway":                {nil, withGateway, []string{"gateway"}},
		"none, and no gateway":             {nil, direct, nil},
		"other family only: the gateway":   {[]health.Probe{six}, withGateway, []string{"gateway"}},
		"its own":                          {[]health.Probe{icmpProbe(targetHost), six}, withGateway, []string{targetHost}},
		"a gateway where there is none":    {[]health.Probe{gateway, icmpProbe(targetHost)}, direct, []string{targetHost}},
		"the gateway beside another":       {[]health.Probe{gateway, icmpProbe(targetHost)}, withGateway, []string{"gw", targetHost}},
		"only a gateway where there is no": {[]health.Probe{gateway}, direct, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range (health.UplinkSettings{Probes: c.probes}).ProbesFor(c.path) {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
