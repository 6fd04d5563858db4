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
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.expectStates("before an answer", health.Down, health.Down)
		if got := h.status("fibre"); got.Reason != "waiting for the first answer: icmp://203.0.113.9: not answered yet" || got.StateChanges != 0 {
			t.Errorf("%q, %d changes", got.Reason, got.StateChanges)
		}
		h.advance(50 * time.Millisecond)
		h.expectStates("after the first answer", health.Up, health.Up)
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		if took := h.waitForState("fibre", health.Down); took > 2500*time.Millisecond {
			t.Errorf("down after %v", took)
		}
		h.expectStates("one uplink is a black hole", health.Down, health.Up)
		if got, want := h.status("fibre").Reason, "no probe is answered: icmp://203.0.113.9: no answer in 1s (3 lost)"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		h.advance(time.Minute)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		if took := h.waitForState("fibre", health.Up); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("five answers, one per second, took %v", took)
		}
		got := h.status("fibre")
		if got.StateChanges != 2 || got.Flaps != 0 || got.Reason != "" || got.HoldDownSeconds != 0 || !got.Since.Equal(time.Now()) {
			t.Errorf("%+v", got)
		}
		if p := got.Probes[0]; !p.Up || p.Error != "" || p.Sent < 60 || p.Lost < 60 || p.RTTSeconds != 0.02 || p.LossPercent < 50 || !strings.Contains(got.Degraded, "of the last probes lost") {
			t.Errorf("%+v, %q", p, got.Degraded)
		}
		want := []string{"state fibre →up", "state lte →up", "state fibre up→down", "state fibre down→up"}
		if events := h.newEvents(); !slices.Equal(events[2:], want[2:]) || len(events) != 4 {
			t.Errorf("emitted %q", events)
		}
	})
}

func TestEveryBlackHoleIsDetectedWithinTheDetectionTime(t *testing.T) {
	slow := icmpProbe(targetHost)
	slow.Interval, slow.Fall = 10*time.Second, 1
	for _, p := range []health.Probe{icmpProbe(targetHost), slow, batchedProbe()} {
		for phase := time.Duration(0); phase < p.Interval; phase += p.Interval / 40 {
			withMonitor(t, []string{"fibre", "lte"}, []health.Probe{p}, func(h *harness) {
				h.advance(3*p.Interval + phase)
				h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
				took := h.waitForState("fibre", health.Down)
				if took > p.DetectionTime() || p.DetectionTime() > 3*p.Timeout+p.Interval {
					t.Errorf("phase %v: down after %v, the detection time is %v", phase, took, p.DetectionTime())
				}
				if usual := p.Interval + p.Timeout + time.Duration(p.Fall-1)*p.Retry; took > usual+50*time.Millisecond {
					t.Errorf("phase %v: down after %v, want at most %v", phase, took, usual)
				}
				h.expectStates("the other", health.Down, health.Up)
			})
		}
	}
}

func TestUplinkIsNotUpBeforeItsFirstAnswer(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(time.Second)
		if events := h.newEvents(); h.status("fibre").State != health.Down || len(events) != 0 {
			t.Errorf("undecided: %+v, emitted %q", h.status("fibre"), events)
		}
		h.advance(time.Second)
		if events := h.newEvents(); !slices.Equal(events, []string{"state fibre →down"}) {
			t.Errorf("emitted %q", events)
		}
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		if took := h.waitForState("fibre", health.Up); took < 4*time.Second {
			t.Errorf("up after %v: five answers in a row were needed", took)
		}
	})
}

func TestProbeThatCannotBeSentIsLostAtOnce(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.sendFails["fibre"] = true })
		if took := h.waitForState("fibre", health.Down); took > health.DefaultInterval+2*health.DefaultRetry {
			t.Errorf("down after %v", took)
		}
	})
}

func TestFlappingUplinkIsHeldDown(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		var took []time.Duration
		for range 4 {
			h.advance(10 * time.Second)
			h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
			h.waitForState("fibre", health.Down)
			h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
			took = append(took, h.waitForState("fibre", health.Up).Truncate(time.Second))
		}
		for i, want := range []time.Duration{0, 10, 20, 40} {
			if got := took[i] - want*time.Second; got < 4*time.Second || got > 6*time.Second {
				t.Errorf("after %d flaps up after %v", i, took[i])
			}
		}
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.waitForState("fibre", health.Down)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = false })
		h.advance(8 * time.Second)
		got := h.status("fibre")
		if got.Flaps != 4 || got.HoldDownSeconds > 78 || got.HoldDownSeconds < 74 || !strings.Contains(got.Reason, "held down for 1m20s after 4 flaps") {
			t.Errorf("%d flaps, %v s left: %s", got.Flaps, got.HoldDownSeconds, got.Reason)
		}
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(3 * time.Second)
		if got := h.status("fibre"); got.HoldDownSeconds != 80 {
			t.Errorf("after another loss %v s are left", got.HoldDownSeconds)
		}
	})
}

// What is down only because it is held down is reported; that it is up again comes before the end of that.
func TestHoldDownOfAnUplinkThatAnswersIsReported(t *testing.T) {
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		answers := func(does bool) {
			h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = !does })
		}
		h.advance(10 * time.Second)
		for range 2 {
			answers(false)
			h.waitForState("fibre", health.Down)
			answers(true)
			h.waitForState("fibre", health.Up)
		}
		answers(false)
		h.waitForState("fibre", health.Down)
		answers(true)
		h.advance(6 * time.Second)
		answers(false)
		h.advance(6 * time.Second)
		want := []string{"up", "down", "up", "down", "fibre true", "up", "fibre false", "down", "fibre true", "fibre false"}
		h.mu.Lock()
		defer h.mu.Unlock()
		if !slices.Equal(h.reports, want) {
			t.Errorf("reports %q, want %q", h.reports, want)
		}
	})
}

func TestLossAndLatencyDegrade(t *testing.T) {
	p := icmpProbe(targetHost)
	p.Latency = health.LatencyThresholds{High: 200 * time.Millisecond, Low: 100 * time.Millisecond}
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{p}, func(h *harness) {
		h.network.set(func(n *fakeNetwork) { n.slowUplinks["fibre"] = 300 * time.Millisecond })
		h.advance(time.Minute)
		h.expectStates("a slow uplink", health.Up, health.Up)
		if got := h.status("fibre").Degraded; got != "icmp://203.0.113.9: mean round-trip time 300ms" {
			t.Errorf("%q", got)
		}
		if got := h.status("lte").Degraded; got != "" {
			t.Errorf("the other uplink is degraded: %s", got)
		}
	})
}

func TestQuorumOfTwoNeedsTwoAnswers(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost), icmpProbe(otherHost)}, func(h *harness) {
		h.settings.Uplinks[1].Quorum = 2
		h.configure()
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.unreachable["lte "+otherHost] = true })
		h.advance(4 * time.Second)
		h.expectStates("one of two targets is dead on lte", health.Up, health.Down)
		if got, want := h.status("lte").Reason, "1 of 2 probes are answered, the quorum is 2: icmp://203.0.113.10: no answer in 1s ("; !strings.HasPrefix(got, want) {
			t.Errorf("%q", got)
		}
		h.settings.Uplinks = slices.Clone(h.settings.Uplinks)
		h.settings.Uplinks[1].Quorum = 1
		h.configure()
		h.expectStates("with a quorum of one", health.Up, health.Up)
		if got := h.status("lte").Degraded; !strings.HasPrefix(got, "icmp://203.0.113.10: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestFamiliesAreIndependent(t *testing.T) {
	six := health.NewProbe("six", health.Target{Kind: health.ICMP, Host: "2001:db8:1::1"})
	name := health.NewProbe("name", health.Target{Kind: health.TCP, Host: "example.com", Port: 443})
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost), six, name}, func(h *harness) {
		h.paths = append(h.paths, testPath("fibre", 0, uplinks.IPv6))
		h.configure()
		h.advance(time.Second)
		for i, want := range []string{"icmp://203.0.113.9 tcp://example.com:443", "icmp://[2001:db8:1::1] tcp://example.com:443"} {
			var got []string
			for _, a := range h.monitor.Status()[0].Families[i].Probes {
				got = append(got, a.Target)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("probes %q, want %q", got, want)
			}
		}
		h.paths[1].Carrier = false
		h.configure()
		h.expectStates("the worst of the families", health.Down)
		if got := h.status("fibre").State; got != health.Up {
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
