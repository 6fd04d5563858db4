package main

import (
	"strings"
	"sync"

	"replypath/test/world"
)

// clients sends the requests and records the replies on the wires.
type clients struct {
	in       *world.Internet
	requests []request
	wires    []*world.Recorder // one for each uplink
	port     uint16            // the first source port of the next round
}

// results are what became of requests.
type results struct {
	in       *world.Internet
	requests []request
	of       map[request]outcome
}

const firstPort = 20000

func newClients(in *world.Internet, requests []requestKind) *clients {
	a := &clients{in: in, port: firstPort}
	for _, k := range requests {
		for _, u := range in.Uplinks {
			for _, to := range u.Addrs() {
				a.requests = append(a.requests, request{k, u, to})
			}
		}
	}
	for _, u := range in.Uplinks {
		a.wires = append(a.wires, u.Wire.Record())
	}
	return a
}

func (a *clients) size() int { return len(a.requests) }

// send sends all requests at once, from ports of their own, so that no late packet is taken for a reply.
func (a *clients) send(expected func(request) outcome) results {
	for _, w := range a.wires {
		w.Reset()
	}
	replied := make([]bool, len(a.requests))
	var all sync.WaitGroup
	for i, q := range a.requests {
		all.Go(func() { replied[i] = q.send(a.in.Client, a.port+uint16(i), !expected(q).replied) })
	}
	all.Wait()
	a.in.Settle()
	r := results{a.in, a.requests, map[request]outcome{}}
	for i, q := range a.requests {
		r.of[q] = outcome{replied[i], a.leftBy(q, a.port+uint16(i))}
	}
	a.port += uint16(len(a.requests))
	return r
}

// leftBy names the links by which replies to the request left.
func (a *clients) leftBy(q request, port uint16) string {
	client := a.in.Client4
	if q.ipv6() {
		client = a.in.Client6
	}
	var by []string
	for i, u := range a.in.Uplinks {
		if a.wires[i].Count(func(p world.Packet) bool { return q.isReply(p, client, port) }) > 0 {
			by = append(by, u.Link.Name)
		}
	}
	return strings.Join(by, "+")
}
