package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"replypath/health"
	"replypath/test/world"
)

// detection is how soon the service sees what happens to an uplink, in seconds.
type detection struct{ silence, carrier, back sample }

// newDetection harms an uplink again and again: its ISP forwards nothing, or its wire has no carrier.
func newDetection(in *world.Internet, rounds int) (d detection) {
	folder, err := os.MkdirTemp("/run", "bench-")
	must(err, "folder")
	s := serve(in.Gateway, folder, watched(in))
	harmed := in.Uplinks[1]
	s.await("up", func(now health.Status) bool {
		return standing(now, harmed) != health.Down && standing(now, harmed) != health.Absent
	})
	for range rounds {
		d.silence = append(d.silence, s.sees(harmed, string(health.Down), func() { harmed.ISP.SetSysctl("net.ipv4.ip_forward", "0") }))
		d.back = append(d.back, s.recovers(harmed, func() { harmed.ISP.SetSysctl("net.ipv4.ip_forward", "1") }))
		d.carrier = append(d.carrier, s.sees(harmed, string(health.Down), harmed.Wire.Down))
		s.recovers(harmed, harmed.Wire.Up)
	}
	return d
}

// watched asks the client through each uplink, in IPv4 and with the defaults.
func watched(in *world.Internet) string {
	var text strings.Builder
	for _, u := range in.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = %q\n", u.Index, u.Index+1, u.Link.Name, u.Router4)
		fmt.Fprintf(&text, "[uplinks.isp%d.probes.client]\ntarget = \"icmp://%s\"\n", u.Index, in.Client4)
	}
	return text.String()
}

func standing(now health.Status, u *world.Uplink) health.State {
	for _, known := range now.Uplinks {
		if known.Interface == u.Link.Name {
			return known.State
		}
	}
	return health.Absent
}

// sees does the harm and gives the seconds until the event of it.
func (s *service) sees(u *world.Uplink, to string, harm func()) float64 {
	time.Sleep(rand.N(health.DefaultInterval)) // harm does not wait for the last answer
	began := time.Now()
	harm()
	event := s.event(u, began, func(e health.Event) bool { return e.To == to })
	return event.At.Sub(began).Seconds()
}

// recovers repairs, and gives the seconds until the uplink is no longer down.
func (s *service) recovers(u *world.Uplink, repair func()) float64 {
	began := time.Now()
	repair()
	event := s.event(u, began, func(e health.Event) bool { return e.From == string(health.Down) })
	s.await("up", func(now health.Status) bool {
		return standing(now, u) == health.Up || standing(now, u) == health.Unproven
	})
	return event.At.Sub(began).Seconds()
}

// event is the first one of the uplink's state since then that is wanted.
func (s *service) event(u *world.Uplink, since time.Time, wanted func(health.Event) bool) (found health.Event) {
	name := fmt.Sprintf("isp%d", u.Index)
	s.await("aware of "+u.Link.Name, func(now health.Status) bool {
		for _, e := range now.Events {
			if e.Kind == "state" && e.Uplink == name && e.At.After(since) && wanted(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

func (d detection) table() *table {
	t := &table{title: "Seconds until the service knows", note: "all defaults, a ping to a host behind the ISP",
		columns: []string{"what happens", "seconds"}}
	t.add("silent black hole behind the gateway", d.silence.String())
	t.add("no carrier", d.carrier.String())
	t.add("the black hole goes: up again", d.back.String())
	return t
}

func (d detection) claims() []claim {
	return []claim{
		{what: "silent black hole found, seconds, typically", figure: d.silence, bound: 2.5},
		{what: "silent black hole found, seconds, at worst", figure: sample{d.silence.quantile(1)}, bound: 4},
		{what: "no carrier found, seconds", figure: d.carrier, bound: 0.05},
	}
}
