package main

import "slices"

// sockets is the CPU time of an exchange, of client, service and all between them, by rounds in nanoseconds.
type sockets struct {
	run      run
	gateways []*gateway
	cost     map[packetKey]sample
}

// measureSockets uses the gateways before their links are sinks, one of each kind: no bound speaks of exchanges.
func measureSockets(p *packets) *sockets {
	s := &sockets{run: p.run, cost: map[packetKey]sample{}}
	for _, g := range p.gateways {
		like := func(other *gateway) bool { return other.variant.name == g.variant.name && other.uplinks == g.uplinks }
		if g.variant.name != alone && slices.Contains(p.run.some, g.uplinks) && !slices.ContainsFunc(s.gateways, like) {
			s.gateways = append(s.gateways, g)
		}
	}
	cpus := usableCPUs()
	for round := range max(3, p.run.rounds/2) {
		for _, f := range families {
			for _, x := range exchanges {
				for i := range s.gateways {
					if round%2 == 1 {
						i = len(s.gateways) - 1 - i
					}
					s.measure(s.gateways[i], f, x, cpus[round%len(cpus)])
				}
			}
		}
	}
	return s
}

func (s *sockets) measure(g *gateway, f family, x exchange, cpu int) {
	key := packetKey{x.label, g.variant.name, g.uplinks, f}
	s.cost[key] = append(s.cost[key], float64(x.cost(g, f, cpu)))
}
