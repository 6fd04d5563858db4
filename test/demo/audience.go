package main

import (
	"strings"
	"sync"

	"replypath/test/world"
)

// audience asks the questions and watches the wires for replies.
type audience struct {
	in        *world.Internet
	questions []question
	wires     []*world.Recorder // one for each uplink
	port      uint16            // the first that the next round asks from
}

// results are what became of questions.
type results struct {
	in        *world.Internet
	questions []question
	of        map[question]fate
}

const firstPort = 20000

func newAudience(in *world.Internet, ask []asking) *audience {
	a := &audience{in: in, port: firstPort}
	for _, k := range ask {
		for _, u := range in.Uplinks {
			for _, to := range u.Addrs() {
				a.questions = append(a.questions, question{k, u, to})
			}
		}
	}
	for _, u := range in.Uplinks {
		a.wires = append(a.wires, u.Wire.Record())
	}
	return a
}

func (a *audience) size() int { return len(a.questions) }

// ask asks all questions at once, from ports of their own, so that nothing late is taken for a reply.
func (a *audience) ask(expected func(question) fate) results {
	for _, w := range a.wires {
		w.Reset()
	}
	answered := make([]bool, len(a.questions))
	var all sync.WaitGroup
	for i, q := range a.questions {
		all.Go(func() { answered[i] = q.ask(a.in.Client, a.port+uint16(i), !expected(q).answered) })
	}
	all.Wait()
	a.in.Settle()
	r := results{a.in, a.questions, map[question]fate{}}
	for i, q := range a.questions {
		r.of[q] = fate{answered[i], a.leftBy(q, a.port+uint16(i))}
	}
	a.port += uint16(len(a.questions))
	return r
}

// leftBy names the links by which replies to the question left.
func (a *audience) leftBy(q question, port uint16) string {
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
