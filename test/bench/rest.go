package main

import (
	"fmt"
	"net/netip"
	"time"

	"replypath/health"
	"replypath/test/world"
)

// rest is what the running service takes when nothing happens, by numbers of uplinks.
type rest struct {
	run     run
	percent map[restKey]sample  // of a core
	memory  map[restKey]sample  // MiB
	lost    map[restKey]float64 // of the requests, in percent
}

type restKey struct {
	probes  string
	uplinks int
}

// The probes of uplinks, in both families.
const (
	byDefault = "the gateways, once per second (the default)"
	often     = "a ping, five times per second"
)

func newRest(w *world.World, r run) *rest {
	all := &rest{run: r, percent: map[restKey]sample{}, memory: map[restKey]sample{}, lost: map[restKey]float64{}}
	for _, n := range r.resting {
		g := newGateway(w, fmt.Sprintf("rest-%d", n), n)
		for _, probes := range []string{byDefault, often} {
			s := serve(g.host, g.folder, g.probeConfig(probes))
			s.await("probing", func(now health.Status) bool { sent, _ := probesSent(now); return sent > uint64(n)*enough })
			all.watch(restKey{probes, n}, s)
			sent, lost := probesSent(s.status())
			all.lost[restKey{probes, n}] = 100 * float64(lost) / float64(sent)
			s.end()
		}
	}
	return all
}

// probeConfig returns a configuration with these probes of each uplink.
func (g *gateway) probeConfig(how string) string {
	text := g.configuration("nft", g.uplinks)
	if how == byDefault {
		return text
	}
	text = "probes = { interval = \"200ms\" }\n" + text
	for i := range g.uplinks {
		for _, f := range families {
			text += fmt.Sprintf("[uplinks.isp%d.probes.ping%s]\ntarget = \"icmp://%s\"\n", i, f.digit(), literal(f.router(i)))
		}
	}
	return text
}

// literal returns the address in a URL.
func literal(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// enough requests for each uplink, in both families together, show that probing has begun.
const enough = 4

// probesSent returns how many requests were put, and how many have no answer.
func probesSent(now health.Status) (sent, lost uint64) {
	for _, u := range now.Uplinks {
		for _, f := range u.Families {
			for _, p := range f.Probes {
				sent, lost = sent+p.Sent, lost+p.Lost
			}
		}
	}
	return sent, lost
}

// watch samples the service a few times.
func (r *rest) watch(key restKey, s *service) {
	for range r.run.looks {
		before, began := s.spent(), time.Now()
		time.Sleep(r.run.probeInterval)
		share := float64(s.spent()-before) / float64(time.Since(began))
		r.percent[key] = append(r.percent[key], 100*share)
		r.memory[key] = append(r.memory[key], s.resident())
	}
}

func (r *rest) table() *table {
	t := &table{title: "The running service when nothing happens", columns: []string{"asked through each uplink, IPv4 and IPv6"}}
	for _, n := range r.run.resting {
		t.columns = append(t.columns, fmt.Sprintf("%d uplinks, %% of a core", n), "MiB resident", "% without answer")
	}
	for _, probes := range []string{byDefault, often} {
		row := []string{probes}
		for _, n := range r.run.resting {
			row = append(row, r.percent[restKey{probes, n}].String(), short(r.memory[restKey{probes, n}].median()), short(r.lost[restKey{probes, n}]))
		}
		t.add(row...)
	}
	return t
}

func (r *rest) requirements() []requirement {
	few := restKey{often, r.run.resting[0]}
	return []requirement{
		{name: fmt.Sprintf("%d uplinks pinged five times per second, %% of a core", few.uplinks), figure: r.percent[few], bound: 10},
		{name: fmt.Sprintf("%d uplinks pinged five times per second, MiB", few.uplinks), figure: r.memory[few], bound: 40},
	}
}
