package main

import (
	"time"

	"replypath/health"
)

const (
	// settle is longer than the service waits for more to happen before it acts.
	settle = 300 * time.Millisecond
	// proven is longer than it waits from one proof to the next.
	proven = 2500 * time.Millisecond
	// quiet keeps its requests, whose cost stands elsewhere, out of what a change costs.
	quiet = "probes = { otherwise = \"off\" }\n"
)

// serve measures the running service: one uplink that goes down and comes up, without the proof that follows and until
// it is proven again, and rounds with nothing to do. What it spends in the same time anyhow is taken off.
func (c *control) serve(g *gateway, backend string) {
	g.host.SetSysctl("net.ipv6.conf.all.keep_addr_on_down", "1")
	s := serve(g.host, g.folder, "proof = { every = \"off\" }\n"+quiet+g.configuration(backend, g.uplinks))
	time.Sleep(time.Second) // the last look at what was done
	for range 4 * c.run.changes {
		rest := s.during(func() { time.Sleep(2 * settle) })
		c.record(oneChange, serviceName, backend, g.uplinks, s.during(func() { g.bounce(2 * settle) }).less(rest))
	}
	for range c.run.changes {
		rest := s.during(func() { time.Sleep(2 * settle) })
		before := s.stat(cminflt)
		c.record(noChange, serviceName, backend, g.uplinks, s.during(func() { s.trigger(g) }).less(rest).shared(2))
		key := controlKey{noChange, serviceName + ", " + backend, g.uplinks}
		c.faults[key] = append(c.faults[key], float64(s.stat(cminflt)-before))
	}
	s.end()
	s = serve(g.host, g.folder, "proof = { every = \"1h\" }\n"+quiet+g.configuration(backend, g.uplinks))
	defer s.end()
	s.await("proven", allProven)
	time.Sleep(proven)
	for range c.run.changes + 1 {
		rest := s.during(func() { time.Sleep(proven) })
		c.record(provenChange, serviceName, backend, g.uplinks, s.during(func() { g.bounce(proven) }).less(rest))
	}
}

// bounce takes an uplink without traffic down and up, and waits until the given time has passed.
func (g *gateway) bounce(lasts time.Duration) {
	const uplink = 0
	until := time.Now().Add(lasts)
	g.host.Link(uplinkName(uplink)).Down()
	time.Sleep(settle)
	g.host.Link(uplinkName(uplink)).Up()
	time.Sleep(time.Until(until))
}

// allProven reports whether all replies are known to leave by their uplinks.
func allProven(now health.Status) bool {
	for _, u := range now.Uplinks {
		for _, f := range u.Families {
			if f.Proof.Trace.Result != health.Yes {
				return false
			}
		}
	}
	return len(now.Uplinks) > 0
}

// trigger makes the service do two rounds with nothing to do, as a foreign rule comes and goes.
func (s *service) trigger(g *gateway) {
	for _, verb := range []string{"add", "del"} {
		ip(g.host, 4, []string{"rule " + verb + " priority 30000 to 192.0.2.99 lookup 99"})
		time.Sleep(settle)
	}
}

// during returns what the service spends while f runs.
func (s *service) during(f func()) spent {
	before, began := s.spent(), time.Now()
	f()
	return spent{s.spent() - before, time.Since(began)}
}

func (s spent) less(rest spent) spent { return spent{s.cpu - rest.cpu, 0} }

func (s spent) shared(among time.Duration) spent { return spent{s.cpu / among, s.wall / among} }
