package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"replypath/health"
	"replypath/test/world"
)

// detection is how soon the service sees what happens to an uplink, in seconds.
type detection struct{ silence, carrier, back sample }

// newDetection harms an uplink again and again: its ISP forwards nothing, or its wire has no carrier. Each time a new
// service watches, as one that has seen an uplink go and come often waits before it believes in it.
func newDetection(in *world.Internet, rounds int) (d detection) {
	folder, err := os.MkdirTemp("/run", "bench-")
	must(err, "folder")
	harmed := in.Uplinks[1]
	for range rounds {
		s := serve(in.Gateway, folder, watched(in))
		s.await("up", func(now health.Status) bool { return alive(now, harmed) })
		d.silence = append(d.silence, s.sees(harmed, func() { harmed.ISP.SetSysctl("net.ipv4.ip_forward", "0") }))
		d.back = append(d.back, s.recovers(harmed, func() { harmed.ISP.SetSysctl("net.ipv4.ip_forward", "1") }))
		d.carrier = append(d.carrier, s.sees(harmed, harmed.Wire.Down))
		s.end()
		harmed.Wire.Up()
	}
	return d
}

// watched returns a configuration that probes the client by each uplink, by IPv4 and with the defaults.
func watched(in *world.Internet) string {
	var text strings.Builder
	for _, u := range in.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = %q\n", u.Index, u.Index+1, u.Link.Name, u.Router4)
		fmt.Fprintf(&text, "[uplinks.isp%d.probes.client]\ntarget = \"icmp://%s\"\n", u.Index, in.Client4)
	}
	return text.String()
}

// alive reports whether the uplink is there and answered.
func alive(now health.Status, u *world.Uplink) bool {
	return slices.ContainsFunc(now.Uplinks, func(known health.UplinkStatus) bool {
		return known.Interface == u.Link.Name && (known.State == health.Up || known.State == health.Unproven)
	})
}

// sees does the harm and gives the seconds until the event of it.
func (s *service) sees(u *world.Uplink, harm func()) float64 {
	time.Sleep(rand.N(health.DefaultInterval)) // harm does not wait for the last answer
	began := time.Now()
	harm()
	event := s.event(u, began, func(e health.Event) bool { return e.To == string(health.Down) })
	return event.At.Sub(began).Seconds()
}

// recovers repairs, and gives the seconds until the uplink is no longer down.
func (s *service) recovers(u *world.Uplink, repair func()) float64 {
	began := time.Now()
	repair()
	event := s.event(u, began, func(e health.Event) bool { return e.From == string(health.Down) })
	return event.At.Sub(began).Seconds()
}

// event returns the first one of the uplink's state since then that is wanted.
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

func (d detection) requirements() []requirement {
	return []requirement{
		{name: "silent black hole found, seconds, typically", figure: d.silence, bound: 2.5},
		{name: "silent black hole found, seconds, at worst", figure: sample{d.silence.quantile(1)}, bound: 4},
		{name: "no carrier found, seconds", figure: d.carrier, bound: 0.05},
	}
}
