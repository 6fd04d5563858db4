package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"replypath/test/world"
)

// scaling is what doing nothing costs beside things of others, of which there are none, half as many, and all.
type scaling struct {
	run   run
	load  []load
	apply map[loadKey]sample
	round map[loadKey]sample
}

type loadKey struct {
	kind  string
	count int
}

// load is a kind of foreign objects. More adds those from one number up to another.
type load struct {
	kind string
	most int
	more func(g *gateway, from, to int)
}

const scalingUplinks = 2

func newScaling(w *world.World, r run) *scaling {
	s := &scaling{run: r, apply: map[loadKey]sample{}, round: map[loadKey]sample{}, load: []load{
		{"foreign routes", r.routes, (*gateway).addRoutes},
		{"foreign iptables rules", r.rules, (*gateway).addRules},
		{"conntrack entries", min(r.flows, conntrackRoom()), (*gateway).addFlows},
	}}
	for i, c := range s.load {
		s.measure(newGateway(w, fmt.Sprintf("scaling-%d", i), scalingUplinks), c)
	}
	return s
}

// measure adds half of the load, then the rest.
func (s *scaling) measure(g *gateway, l load) {
	g.forwardings()
	g.host.SetSysctl("net.netfilter.nf_conntrack_udp_timeout", "3600")
	g.configure("nft")
	took(g.replypath("apply"))
	there := 0
	for _, count := range []int{0, l.most / 2, l.most} {
		if count > there {
			l.more(g, there, count)
			there = count
		}
		key := loadKey{l.kind, count}
		for range s.run.changes {
			s.apply[key] = append(s.apply[key], float64(took(g.replypath("apply")).cpu))
		}
		service := serve(g.host, g.folder, g.configuration("nft", g.uplinks))
		for range s.run.changes {
			s.round[key] = append(s.round[key], float64(service.during(func() { service.trigger(g) }).cpu))
		}
		service.end()
	}
}

func (g *gateway) addRoutes(from, to int) {
	var lines []string
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("route add 198.18.%d.%d/32 via %s protocol 186 metric %d", 1+i/250%250, i%250, family(4).lan(), 1+i/62500))
	}
	ip(g.host, 4, lines)
}

func (g *gateway) addRules(from, to int) {
	var rules strings.Builder
	rules.WriteString("*mangle\n")
	if from == 0 {
		rules.WriteString(":OTHERS - [0:0]\n-A PREROUTING -i lan0 -j OTHERS\n")
	}
	for i := from; i < to; i++ {
		fmt.Fprintf(&rules, "-A OTHERS -d 198.18.%d.%d/32 -j RETURN\n", 1+i/250, i%250)
	}
	rules.WriteString("COMMIT\n")
	feed(g.host, rules.String(), "iptables-nft-restore", "--noflush")
}

// addFlows begins a connection with each packet.
func (g *gateway) addFlows(from, to int) {
	if from == 0 {
		g.sink(sinkAtEgress)
		g.prepare(4, []path{first})
	}
	g.injectors[4][first.name].receive(to - from)
}

// conntrackRoom returns how many connections the kernel keeps, less a few.
func conntrackRoom() int {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	must(err, "read nf_conntrack_max")
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(err, "read nf_conntrack_max")
	return most * 9 / 10
}

func (s *scaling) table() *table {
	t := &table{title: "CPU time of doing nothing, beside what others have", note: "over the same with none of it",
		columns: []string{"what", "how many", "replypath apply", "a round of the service"}}
	for _, c := range s.load {
		for _, count := range []int{c.most / 2, c.most} {
			none, key := loadKey{c.kind, 0}, loadKey{c.kind, count}
			t.add(c.kind, strconv.Itoa(count), s.apply[key].over(s.apply[none]).String(), s.round[key].over(s.round[none]).String())
		}
	}
	return t
}

// claims: twice as much of it costs at most twice as much.
func (s *scaling) requirements() (requirements []requirement) {
	for _, c := range s.load {
		half, all := loadKey{c.kind, c.most / 2}, loadKey{c.kind, c.most}
		requirements = append(requirements,
			requirement{name: fmt.Sprintf("apply of nothing beside %d %s over half as many", c.most, c.kind), figure: s.apply[all].over(s.apply[half]), bound: 2},
			requirement{name: fmt.Sprintf("idle round beside %d %s over half as many", c.most, c.kind), figure: s.round[all].over(s.round[half]), bound: 2},
		)
	}
	return requirements
}
