package main

import (
	"time"
)

// settle is longer than the service waits for more to happen before it acts.
const settle = 300 * time.Millisecond

// serve measures the running service: one uplink that goes down and comes up, and rounds with nothing to do. What it
// spends in the same time anyhow is taken off.
func (c *control) serve(g *gateway, backend string) {
	g.host.SetSysctl("net.ipv6.conf.all.keep_addr_on_down", "1")
	s := serve(g.host, g.folder, g.configuration(backend, g.uplinks))
	defer s.end()
	time.Sleep(time.Second) // the last look at what was done
	const uplink = 0        // which has no packets to carry
	for range c.run.changes {
		rest := s.during(func() { time.Sleep(2 * settle) })
		c.note(oneChange, serviceName, backend, g.uplinks, s.during(func() {
			g.host.Link(uplinkName(uplink)).Down()
			time.Sleep(settle)
			g.host.Link(uplinkName(uplink)).Up()
			time.Sleep(settle)
		}).less(rest))
		before := s.stat(cminflt)
		c.note(noChange, serviceName, backend, g.uplinks, s.during(func() { s.nudge(g) }).less(rest).shared(2))
		key := controlKey{noChange, serviceName + ", " + backend, g.uplinks}
		c.faults[key] = append(c.faults[key], float64(s.stat(cminflt)-before))
	}
}

// nudge makes the service do two rounds with nothing to do, as a foreign rule comes and goes.
func (s *service) nudge(g *gateway) {
	for _, verb := range []string{"add", "del"} {
		ip(g.host, 4, []string{"rule " + verb + " priority 30000 to 192.0.2.99 lookup 99"})
		time.Sleep(settle)
	}
}

// during is what the service spends while f runs.
func (s *service) during(f func()) spent {
	before, began := s.spent(), time.Now()
	f()
	return spent{s.spent() - before, time.Since(began)}
}

func (s spent) less(rest spent) spent { return spent{s.cpu - rest.cpu, 0} }

func (s spent) shared(among time.Duration) spent { return spent{s.cpu / among, s.wall / among} }
