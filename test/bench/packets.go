package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"replypath/test/world"
)

// packets is what packets cost on their paths, by rounds in nanoseconds: every gateway takes its turn in each round.
type packets struct {
	run      run
	paths    paths
	gateways []*gateway
	cost     map[packetKey]sample
}

// paths are those that are measured on the same gateways.
type paths struct {
	over        string // the variant whose cost the tables divide by
	established []path // keep their connections through all rounds
	fresh       []path // begin with none each time
	opening     []path // in this order one packet on each makes the connections established
}

type packetKey struct {
	path, variant string
	uplinks       int
	family        family
}

// inboundPaths are those of connections that begin outside, and of one that does not and gets no reply.
var inboundPaths = paths{
	over:        nothing,
	established: []path{reply, original, local, outbound},
	fresh:       []path{first, young, ping},
	opening:     []path{original, reply, original, reply, outbound},
}

func (p paths) all() []path { return slices.Concat(p.established, p.fresh) }

// assuredAfter is when conntrack takes a UDP flow that still goes both ways for a stream.
const assuredAfter = 2100 * time.Millisecond

// newPackets builds all gateways, those that bounds speak of more than once: how a gateway comes to lie in memory makes a
// tenth of what a packet costs it, and no further round shows that.
func newPackets(w *world.World, r run, all paths) *packets {
	p := &packets{run: r, paths: all, cost: map[packetKey]sample{}}
	least, most := r.extremes()
	for _, v := range r.intercepting {
		for range r.copies {
			p.add(w, v, least)
		}
	}
	p.add(w, counted, 2)
	for _, n := range r.uplinks {
		for _, v := range r.variants {
			if v.slow && r.slowest != 0 && n > r.slowest {
				continue
			}
			times := 1
			if (n == least || n == most) && !v.slow {
				times = r.copies
			}
			for range times {
				p.add(w, v, n)
			}
		}
	}
	return p
}

func (p *packets) add(w *world.World, v variant, uplinks int) {
	began := time.Now()
	g := newGateway(w, fmt.Sprintf("%s, %d uplinks, gateway %d", v.name, uplinks, len(p.gateways)), uplinks)
	g.variant = v
	v.setup(g)
	p.gateways = append(p.gateways, g)
	p.run.logf("%s with %d uplinks stands after %s", v.name, uplinks, time.Since(began).Round(time.Millisecond))
}

// measure sends packets through all gateways in turn. From then on their links are sinks.
func (p *packets) measure() {
	p.prime()
	for _, f := range families {
		p.exchange()
		time.Sleep(assuredAfter)
		p.exchange()
		p.check(f)
		p.rounds(f, p.paths.established, p.run.rounds, p.one)
	}
	for _, f := range families {
		p.rounds(f, p.paths.fresh, p.run.freshRounds(), p.oneFresh)
	}
}

// prime opens the connections, puts the sinks in place, and prepares the frames.
func (p *packets) prime() {
	for _, g := range p.gateways {
		hook := sinkAtIngress
		if g.variant.name != alone {
			hook = sinkAtEgress
			g.connectAll()
		}
		g.sink(hook)
		for _, f := range families {
			g.prepare(f, p.paths.all())
		}
	}
}

// connectAll opens a connection to the gateway in each family.
func (g *gateway) connectAll() {
	for _, f := range families {
		g.open[f] = g.connect(f)
	}
}

// exchange lets packets go both ways, so that the connections are established.
func (p *packets) exchange() {
	for _, g := range p.gateways {
		for _, f := range families {
			for _, w := range p.paths.opening {
				g.injectors[f][w.name].receive(1)
			}
		}
	}
}

// check sees that packets leave by the link that they ought to: the cheapest rules are those that do not work.
func (p *packets) check(f family) {
	const some = 50
	for _, g := range p.gateways {
		for _, w := range p.paths.all() {
			want := g.link(w.out)
			if slices.Contains([]string{nothing, floor}, g.variant.name) && w.out == other {
				want = g.last.Name
			}
			if g.variant.name == alone {
				continue
			}
			g.injectors[f][w.name].receive(1)
			before := g.left()
			g.injectors[f][w.name].receive(some)
			after := g.left()
			if after[want]-before[want] != some {
				fatal("%s, %s, %s: %d packets of %d left by %s: before %v, after %v",
					g.name, f, w.label, after[want]-before[want], some, want, before, after)
			}
		}
	}
}

// rounds measures the paths in turn.
func (p *packets) rounds(f family, paths []path, times int, one func(*gateway, family, path) time.Duration) {
	for round := range times {
		for _, w := range paths {
			if !p.run.measures(w) {
				continue
			}
			order := slices.Clone(p.gateways)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, g := range order {
				key := packetKey{w.name, g.variant.name, g.uplinks, f}
				p.cost[key] = append(p.cost[key], float64(one(g, f, w)))
			}
		}
	}
}

func (p *packets) one(g *gateway, f family, w path) time.Duration {
	return g.injectors[f][w.name].receive(p.run.packets)
}

// oneFresh starts without connections and leaves none.
func (p *packets) oneFresh(g *gateway, f family, w path) time.Duration {
	g.forget()
	g.injectors[f][original.name].receive(1)
	g.injectors[f][w.name].receive(1) // of several first packets of a connection under way at once only one gets through
	defer g.forget()
	return g.injectors[f][w.name].receive(p.run.packets / 4)
}

// forget empties the gateway's connection tracking.
func (g *gateway) forget() {
	g.host.Do(func() { must(netlink.ConntrackTableFlush(netlink.ConntrackTable), "%s: flush conntrack", g.name) })
}

// prepare makes the injectors of the paths.
func (g *gateway) prepare(f family, all []path) {
	g.injectors[f] = map[string]injector{}
	for _, w := range all {
		link := g.inner
		if w.from == outer {
			link = g.last
		}
		g.injectors[f][w.name] = newInjector(link, w.frame(g, f, hardwareAddress(link)), w.varies)
	}
}

// work returns what a packet costs beyond being injected.
func (p *packets) work(path, variant string, uplinks int, f family) sample {
	injected := p.cost[packetKey{path, alone, 2, f}].median()
	return p.cost[packetKey{path, variant, uplinks, f}].less(injected)
}
