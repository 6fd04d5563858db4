package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"time"

	"replypath/health"
	"replypath/test/world"
)

// failover is how soon connections that begin inside take another uplink, and what their source translation misses when another
// program has deleted it.
type failover struct {
	silence, carrier sample            // seconds until the first answer by the other uplink
	routes           map[string]sample // milliseconds from a change of state until its routes are written, by what happened
	writes           map[string]sample // the same, to the end of the first sweep, which has the last write to the kernel
	again            map[string]sample // the same, to the end of the second sweep
	sweeps           []sweep
	repair           map[string]sample // milliseconds from the end of the command that deleted the translation to a connection that is answered
}

const (
	// failoverUplinks is the number of uplinks of the gateway whose writes are measured.
	failoverUplinks = 31
	// balancedConnections of each family go by them.
	balancedConnections = 3000
)

// What happens to an uplink of it.
const (
	lostCarrier  = "no carrier"
	lostGateway  = "the gateway is silent"
	failoverWait = time.Minute
)

// failoverSeen is how long the service is left alone: asking for its status takes time of its own.
var failoverSeen = map[string]time.Duration{lostCarrier: 2 * time.Second, lostGateway: 6 * time.Second}

// measureFailover measures failovers of connections that begin inside.
func measureFailover(r run, to *results) {
	f := &failover{routes: map[string]sample{}, writes: map[string]sample{}, again: map[string]sample{}, repair: map[string]sample{}}
	f.answers(r)
	r.logf("failovers are answered")
	f.repairs(r)
	r.logf("translation is repaired")
	on(func(w *world.World) { f.kernelWrites(w, r) })
	on(func(w *world.World) { f.sweep(w, r) })
	to.add(f.table())
	to.requirements = append(to.requirements, f.requirements()...)
}

// answers harms the first uplink of a policy again and again, each time with a new service, and notes when a new connection of a host
// on the LAN is answered by the other one.
func (f *failover) answers(r run) {
	g := &namespaceTB{}
	defer g.end()
	in := world.TwoISPs(g)
	in.Client.ServeUDP(hostPort, world.Pktinfo)
	folder := temporaryFolder()
	harmed, other := in.Uplinks[0], in.Uplinks[1]
	for range r.harms {
		s := serve(in.Gateway, folder, watched(in)+preferFirst)
		s.await("up", func(now health.Status) bool { return alive(now, harmed) && alive(now, other) })
		untilAnswered(in, harmed)
		f.silence = append(f.silence, s.answeredBy(in, other, func() { harmed.ISP.SetSysctl("net.ipv4.ip_forward", "0") }))
		harmed.ISP.SetSysctl("net.ipv4.ip_forward", "1")
		s.end()
		s = serve(in.Gateway, folder, watched(in)+preferFirst)
		s.await("up", func(now health.Status) bool { return alive(now, harmed) && alive(now, other) })
		untilAnswered(in, harmed)
		f.carrier = append(f.carrier, s.answeredBy(in, other, harmed.Wire.Down))
		harmed.Wire.Up()
		s.end()
	}
}

// preferFirst is a table [outbound] that prefers the first of two uplinks.
const preferFirst = "[outbound]\ndefault = \"first\"\nmasquerade = \"both\"\n[outbound.policies.first]\ntiers = [[\"isp0\"], [\"isp1\"]]\n"

func temporaryFolder() string {
	folder, err := os.MkdirTemp("/run", "bench-")
	must(err, "folder")
	return folder
}

// answeredBy does the harm, at some time between two probes, and returns the seconds until a new connection is answered by the uplink.
func (s *service) answeredBy(in *world.Internet, u *world.Uplink, harm func()) float64 {
	time.Sleep(rand.N(health.DefaultInterval)) // harm does not wait for the last answer
	began := time.Now()
	harm()
	return untilAnswered(in, u).Sub(began).Seconds()
}

// untilAnswered begins connections from the LAN until one is answered by the uplink, and returns when that was.
func untilAnswered(in *world.Internet, u *world.Uplink) time.Time {
	const pause = 5 * time.Millisecond
	answered := make(chan time.Time, 1)
	late := time.After(failoverWait)
	for {
		go func() {
			a := in.LAN.Send(world.Request{Kind: world.KindUDP, To: netip.AddrPortFrom(in.Client4, hostPort), Timeout: patience, NoResend: true})
			if a.OK && u.Has(a.Peer.Addr()) {
				select {
				case answered <- time.Now():
				default: // another one was earlier
				}
			}
		}()
		select {
		case at := <-answered:
			return at
		case <-late:
			fatal("no connection is answered by %s within %s", u.Link.Name, failoverWait)
		case <-time.After(pause):
		}
	}
}

// flushes are the commands by which other programs delete the translation of sources, by backend.
var flushes = map[string][]string{"legacy": {"iptables-legacy", "-t", "nat", "-F"}, "nft": {"iptables-nft", "-t", "nat", "-F"}, native: {"nft", "flush", "ruleset"}}

// repairs deletes the translation of sources, and notes when it is back.
func (f *failover) repairs(r run) {
	for _, b := range ourBackends {
		g := &namespaceTB{}
		in := world.TwoISPs(g)
		in.Client.ServeUDP(hostPort, world.Pktinfo)
		s := serve(in.Gateway, temporaryFolder(), fmt.Sprintf("backend = %q\n", b)+watched(in)+preferFirst)
		for range 3 * r.harms {
			untilAnswered(in, in.Uplinks[0])
			time.Sleep(time.Second) // a repair that follows another one at once is delayed
			in.Gateway.Run(flushes[b][0], flushes[b][1:]...)
			began := time.Now()
			f.repair[b] = append(f.repair[b], milliseconds(untilAnswered(in, in.Uplinks[0]).Sub(began)))
		}
		s.end()
		g.end()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// kernelWrites fails uplinks of a policy that balances over many, one after the other.
func (f *failover) kernelWrites(w *world.World, r run) {
	g := newGateway(w, "failover", failoverUplinks)
	g.host.SetSysctl("net.netfilter.nf_conntrack_udp_timeout", "3600")
	var all []string
	for i := range g.uplinks {
		all = append(all, fmt.Sprintf("%q", fmt.Sprintf("isp%d", i)))
	}
	g.more = fmt.Sprintf("[outbound]\ndefault = \"all\"\nmasquerade = \"both\"\n[outbound.policies.all]\ntiers = [[%s]]\n", strings.Join(all, ", "))
	s := serve(g.host, g.folder, g.configuration("nft", g.uplinks))
	defer s.end()
	s.await("up", func(now health.Status) bool { return g.allUp(now) })
	for _, f := range families {
		g.lanFlows(f, serverPort).receive(balancedConnections)
	}
	for round := range r.changes {
		for i, harm := range []string{lostCarrier, lostGateway} {
			index := 1 + 2*round + i
			began := time.Now()
			if port := g.host.Link(uplinkName(index)).Peer; harm == lostCarrier {
				port.Down()
			} else {
				g.client.Run("ip", "addr", "flush", "dev", port.Name)
			}
			time.Sleep(failoverSeen[harm])
			routes, last, again := s.lastWrites(index, began)
			f.routes[harm], f.writes[harm], f.again[harm] = append(f.routes[harm], routes), append(f.writes[harm], last), append(f.again[harm], again)
		}
	}
}

// allUp reports whether all uplinks are up.
func (g *gateway) allUp(now health.Status) bool {
	for _, u := range now.Uplinks {
		if u.State != health.Up {
			return false
		}
	}
	return len(now.Uplinks) == g.uplinks
}

// lastWrites waits until the connections of an uplink that went down since then are moved in both families, and returns the greatest
// numbers of milliseconds from the change of state in a family, as the event has it, to the begin of its move, when its routes are
// written, to the end of the first sweep, and to that of the second one, of what was in flight.
func (s *service) lastWrites(index int, since time.Time) (routes, last, again float64) {
	name := fmt.Sprintf("isp%d", index)
	s.await("moving connections of "+name, func(now health.Status) bool {
		moved := 0
		for _, u := range outboundUplinks(now) {
			if u.Uplink != name || u.LastMove == nil || u.LastMove.At.Before(since) {
				continue
			}
			family, _ := u.Family.MarshalText()
			for _, e := range now.Events {
				if e.Kind == "state" && e.Uplink == name && e.Family == string(family) && e.To == string(health.Down) {
					moved++
					began := milliseconds(u.LastMove.At.Sub(e.At))
					routes, last, again = max(routes, began), max(last, began+u.LastMove.Milliseconds), max(again, began+u.LastMove.SecondSweepMilliseconds)
				}
			}
		}
		return moved == len(families)
	})
	return routes, last, again
}

// outboundUplinks returns the uplinks of outbound connections; none when the service does not answer.
func outboundUplinks(now health.Status) []health.OutboundUplinkStatus {
	if now.Outbound == nil {
		return nil
	}
	return now.Outbound.Uplinks
}

func (f *failover) table() *table {
	t := &table{title: "Failover of connections that begin inside", columns: []string{"what happens", "until", "time"}}
	t.add("silent black hole behind the gateway", "a new connection is answered by the other uplink", f.silence.String()+" s")
	t.add("no carrier", "the same", f.carrier.String()+" s")
	for _, harm := range []string{lostCarrier, lostGateway} {
		t.add(harm+fmt.Sprintf(", %d uplinks", failoverUplinks), "from the change of state to the routes", f.routes[harm].String()+" ms")
		t.add("", "to the last write to the kernel, at the end of the first sweep", f.writes[harm].String()+" ms")
		t.add("", "to the end of the second sweep, of what was in flight", f.again[harm].String()+" ms")
	}
	for _, s := range f.sweeps {
		t.add(fmt.Sprintf("%d connections, %s", sweptConnections, s.kind), "all are moved, by the clock", s.wall.String()+" ms")
		t.add("", "CPU time of the service, with the second sweep", s.cpu.String()+" ms")
	}
	for _, b := range ourBackends {
		t.add(strings.Join(flushes[b], " "), "a new connection is translated again", f.repair[b].String()+" ms")
	}
	return t
}

func (f *failover) requirements() (requirements []requirement) {
	requirements = []requirement{
		{name: "silent black hole: answered by the other uplink, seconds, typically", figure: f.silence, bound: 2.5},
		{name: "no carrier: answered by the other uplink, seconds", figure: f.carrier, bound: 0.15},
	}
	for _, harm := range []string{lostCarrier, lostGateway} {
		requirements = append(requirements, requirement{
			name:   fmt.Sprintf("%s: milliseconds from the change of state to the last write, %d uplinks", harm, failoverUplinks),
			figure: f.writes[harm], bound: 50,
		})
	}
	for _, s := range f.sweeps {
		requirements = append(requirements, requirement{name: fmt.Sprintf("%d connections are moved, %s: milliseconds", sweptConnections, s.kind), figure: s.wall, bound: 1000})
	}
	for _, b := range ourBackends {
		requirements = append(requirements, requirement{name: fmt.Sprintf("milliseconds until sources are translated again, %s", b), figure: f.repair[b], bound: repairBounds[b]})
	}
	return requirements
}

// repairBounds are milliseconds. Nothing announces a change of the legacy tables, which are polled four times a second.
var repairBounds = map[string]float64{"legacy": 350, "nft": 100, native: 100}
