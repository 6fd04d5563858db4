package main

import (
	"fmt"

	"replypath/cmd/terminal"
	"replypath/test/world"
)

// scene is one way in which a host with two uplinks gets its replies wrong.
type scene struct {
	title    string
	why      string // what is wrong with the host, in lines for people
	world    world.Options
	build    func(*world.Internet)
	requests []requestKind
	expected func(asked *world.Uplink, ipv6 bool) outcome // before
}

// outcome is what becomes of the reply to a request.
type outcome struct {
	replied bool
	by      string // the link that the reply left by; none when there was no reply
}

// show plays the scene: before, replypath applied, after, and replypath flushed.
func (s scene) show(binary string, colours terminal.Palette) summary {
	var t summary
	st := &stage{}
	wrong := st.perform(func() {
		fmt.Print(s.why)
		in := world.TwoISPs(st, s.world)
		s.build(in)
		gw := newGateway(st, in, binary, colours)
		audience := newClients(in, s.requests)

		fmt.Printf("  asking %d questions ...\n", audience.size())
		before := audience.send(s.before)
		before.print("BEFORE", colours)
		t.countBefore(before)
		s.mustBeBroken(st, before)

		found := gw.snapshot()
		gw.plan()
		gw.apply()
		fmt.Printf("  asking the same %d questions ...\n", audience.size())
		after := audience.send(right)
		after.print("AFTER", colours)
		t.countAfter(after)
		mustBeRight(st, after)
		gw.inSync()
		gw.flush(found)
	})
	for _, w := range wrong {
		t.wrong = append(t.wrong, s.title+": "+w)
	}
	return t
}

func (s scene) before(q request) outcome { return s.expected(q.uplink, q.ipv6()) }

// right returns what becomes of a reply that goes back where its request came from.
func right(q request) outcome { return outcome{true, q.uplink.Link.Name} }

func (s scene) mustBeBroken(st *stage, r results) {
	for _, q := range r.requests {
		if got, want := r.of[q], s.before(q); got != want {
			st.Errorf("before, %s: %s, expected %s", q, got, want)
		}
	}
}

func mustBeRight(st *stage, r results) {
	for _, q := range r.requests {
		if got, want := r.of[q], right(q); got != want {
			st.Errorf("after, %s: %s, expected %s", q, got, want)
		}
	}
}

// String returns the fate as it stands in a table.
func (f outcome) String() string {
	switch {
	case f.by == "" && f.replied:
		return "ok, unseen"
	case f.by == "":
		return "no reply"
	case f.replied:
		return "ok by " + f.by
	}
	return "lost by " + f.by
}
