package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/uplinks"
)

func TestABlackHoleIsFoundAndItsEndToo(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged)}, func(r *rig) {
		r.expect("before an answer", Down, Down)
		if got := r.at("fibre"); got.Reason != "no answer yet: icmp://203.0.113.9: not answered yet" || got.Changes != 0 {
			t.Errorf("%q, %d changes", got.Reason, got.Changes)
		}
		r.pass(50 * time.Millisecond)
		r.expect("after the first answer", Up, Up)
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		if took := r.until("fibre", Down); took > 2500*time.Millisecond {
			t.Errorf("found after %v", took)
		}
		r.expect("while one is gone", Down, Up)
		if got, want := r.at("fibre").Reason, "nobody answers: icmp://203.0.113.9: no answer in 1s (3 lost)"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		r.pass(time.Minute)
		r.net.set(func(n *internet) { n.holes["fibre"] = false })
		if took := r.until("fibre", Up); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("five good answers, one in a second, took %v", took)
		}
		got := r.at("fibre")
		if got.Changes != 2 || got.Flaps != 0 || got.Reason != "" || got.HoldDown != 0 || !got.Since.Equal(time.Now()) {
			t.Errorf("%+v", got)
		}
		if p := got.Probes[0]; !p.Up || p.Error != "" || p.Sent < 60 || p.Lost < 60 || p.RTT != 0.02 || p.Percent < 50 || !strings.Contains(got.Degraded, "of the last questions lost") {
			t.Errorf("%+v, %q", p, got.Degraded)
		}
		want := []string{"state fibre →up", "state lte →up", "state fibre up→down", "state fibre down→up"}
		if news := r.news(); !slices.Equal(news[2:], want[2:]) || len(news) != 4 {
			t.Errorf("told %q", news)
		}
	})
}

func TestEveryPhaseOfABlackHoleKeepsToTheWorstCase(t *testing.T) {
	slow := ping(pinged)
	slow.Interval, slow.Fall = 10*time.Second, 1
	for _, p := range []Probe{ping(pinged), slow} {
		for phase := time.Duration(0); phase < p.Interval; phase += p.Interval / 40 {
			in(t, []string{"fibre", "lte"}, []Probe{p}, func(r *rig) {
				r.pass(3*p.Interval + phase)
				r.net.set(func(n *internet) { n.holes["fibre"] = true })
				took := r.until("fibre", Down)
				if took > p.Worst() || p.Worst() > 3*p.Timeout+p.Interval {
					t.Errorf("phase %v: found after %v, the worst is %v", phase, took, p.Worst())
				}
				if usual := p.Interval + p.Timeout + time.Duration(p.Fall-1)*p.Retry; took > usual+50*time.Millisecond {
					t.Errorf("phase %v: found after %v, usually %v are enough", phase, took, usual)
				}
				r.expect("the other", Down, Up)
			})
		}
	}
}

func TestAtFirstNobodyIsUpWhoWasNeverAnswered(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.pass(time.Second)
		if news := r.news(); r.at("fibre").State != Down || len(news) != 0 {
			t.Errorf("before it is judged: %+v, told %q", r.at("fibre"), news)
		}
		r.pass(time.Second)
		if news := r.news(); !slices.Equal(news, []string{"state fibre →down"}) {
			t.Errorf("told %q", news)
		}
		r.net.set(func(n *internet) { n.holes["fibre"] = false })
		if took := r.until("fibre", Up); took < 4*time.Second {
			t.Errorf("up after %v: five answers in a row were needed", took)
		}
	})
}

func TestWhatCannotBeSentIsLostAtOnce(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.refused["fibre"] = true })
		if took := r.until("fibre", Down); took > DefaultInterval+2*DefaultRetry {
			t.Errorf("down after %v", took)
		}
	})
}

func TestAnUplinkThatFlapsMustAnswerForLonger(t *testing.T) {
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		var took []time.Duration
		for range 4 {
			r.pass(10 * time.Second)
			r.net.set(func(n *internet) { n.holes["fibre"] = true })
			r.until("fibre", Down)
			r.net.set(func(n *internet) { n.holes["fibre"] = false })
			took = append(took, r.until("fibre", Up).Truncate(time.Second))
		}
		for i, want := range []time.Duration{0, 10, 20, 40} {
			if got := took[i] - want*time.Second; got < 4*time.Second || got > 6*time.Second {
				t.Errorf("after %d flaps it is up after %v", i, took[i])
			}
		}
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.until("fibre", Down)
		r.net.set(func(n *internet) { n.holes["fibre"] = false })
		r.pass(8 * time.Second)
		got := r.at("fibre")
		if got.Flaps != 4 || got.HoldDown > 78 || got.HoldDown < 74 || !strings.Contains(got.Reason, "(4 times): it must answer for 1m20s first") {
			t.Errorf("%d flaps, %v s left: %s", got.Flaps, got.HoldDown, got.Reason)
		}
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.pass(3 * time.Second)
		if got := r.at("fibre"); got.HoldDown != 80 {
			t.Errorf("it fails again, and %v s are left", got.HoldDown)
		}
	})
}

func TestLossAndLatencyDegrade(t *testing.T) {
	p := ping(pinged)
	p.Latency = Durations{High: 200 * time.Millisecond, Low: 100 * time.Millisecond}
	in(t, []string{"fibre", "lte"}, []Probe{p}, func(r *rig) {
		r.net.set(func(n *internet) { n.slow["fibre"] = 300 * time.Millisecond })
		r.pass(time.Minute)
		r.expect("slow is not down", Up, Up)
		if got := r.at("fibre").Degraded; got != "icmp://203.0.113.9: answers take 300ms on average" {
			t.Errorf("%q", got)
		}
		if got := r.at("lte").Degraded; got != "" {
			t.Errorf("the other is degraded: %s", got)
		}
	})
}

func TestAQuorumOfTwoNeedsTwo(t *testing.T) {
	in(t, []string{"fibre", "lte"}, []Probe{ping(pinged), ping(other)}, func(r *rig) {
		r.settings.Uplinks[1].Quorum = 2
		r.watch()
		r.pass(10 * time.Second)
		r.net.set(func(n *internet) { n.nobody["lte "+other] = true })
		r.pass(4 * time.Second)
		r.expect("one of two is lost on lte", Up, Down)
		if got, want := r.at("lte").Reason, "1 of 2 answer, and 2 must: icmp://203.0.113.10: no answer in 1s ("; !strings.HasPrefix(got, want) {
			t.Errorf("%q", got)
		}
		r.settings.Uplinks = slices.Clone(r.settings.Uplinks)
		r.settings.Uplinks[1].Quorum = 1
		r.watch()
		r.expect("one of two is enough now", Up, Up)
		if got := r.at("lte").Degraded; !strings.HasPrefix(got, "icmp://203.0.113.10: no answer in 1s (") {
			t.Errorf("%q", got)
		}
	})
}

func TestBothFamiliesAreJudgedApart(t *testing.T) {
	six := NewProbe("six", Target{Kind: ICMP, Host: "2001:db8:1::1"})
	name := NewProbe("name", Target{Kind: TCP, Host: "example.com", Port: 443})
	in(t, []string{"fibre"}, []Probe{ping(pinged), six, name}, func(r *rig) {
		r.paths = append(r.paths, pathOf("fibre", 0, uplinks.IPv6))
		r.watch()
		r.pass(time.Second)
		for i, want := range []string{"icmp://203.0.113.9 tcp://example.com:443", "icmp://[2001:db8:1::1] tcp://example.com:443"} {
			var got []string
			for _, a := range r.monitor.Uplinks()[0].Families[i].Probes {
				got = append(got, a.Target)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("asks %q, want %q", got, want)
			}
		}
		r.paths[1].Carrier = false
		r.watch()
		r.expect("the worst of the families", Down)
		if got := r.at("fibre").State; got != Up {
			t.Errorf("IPv4 is %s", got)
		}
	})
}

func TestWhichProbesAPathHas(t *testing.T) {
	withGateway, direct := pathOf("a", 0, uplinks.IPv4), pathOf("a", 0, uplinks.IPv4)
	direct.Gateway, direct.Direct = Path{}.Gateway, true
	gateway := NewProbe("gw", Target{Kind: Gateway})
	six := NewProbe("six", Target{Kind: ICMP, Host: "2001:db8:1::1"})
	for name, c := range map[string]struct {
		probes []Probe
		path   Path
		want   []string
	}{
		"none: the gateway":                {nil, withGateway, []string{"gateway"}},
		"none, and no gateway":             {nil, direct, nil},
		"other family only: the gateway":   {[]Probe{six}, withGateway, []string{"gateway"}},
		"its own":                          {[]Probe{ping(pinged), six}, withGateway, []string{pinged}},
		"a gateway where there is none":    {[]Probe{gateway, ping(pinged)}, direct, []string{pinged}},
		"the gateway beside another":       {[]Probe{gateway, ping(pinged)}, withGateway, []string{"gw", pinged}},
		"only a gateway where there is no": {[]Probe{gateway}, direct, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range (Uplink{Probes: c.probes}).Asked(c.path) {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
