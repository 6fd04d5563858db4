package host

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"replypath/health/inject"
	"replypath/health/proof"
	"replypath/health/trap"
)

// shown is what was put to the paths, and what was seen of it.
type shown struct {
	questions []proof.Question
	sights    proof.Sights
}

// busy bounds how long another program's proof is waited for.
const busy = 10 * time.Second

// Numbers of a run before this one, whose connections may be remembered, are not likely to be met again. What is asked
// again has a number that is greater by anew.
const (
	lowest = 32768
	anew   = 16384
)

// show makes questions arrive on the paths' links and sees where the answers go. Nothing of it outlives it: a question
// to open a connection is taken back, and connection tracking is told to forget.
func (r *run) show(ctx context.Context) (s shown, err error) {
	if len(r.askers) == 0 {
		return s, nil
	}
	gate, err := inject.Open()
	if err != nil {
		return s, err
	}
	defer gate.Close()
	questions := proof.Questions(r.paths, r.target, r.askers, uint16(lowest+rand.IntN(anew/2)))
	servers := serve(questions)
	defer servers.close()
	waiting, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	t, err := trap.Open(waiting, trap.Bait{Askers: r.asking(), Links: r.wires, Count: 2 * len(questions)})
	if err != nil {
		return s, err
	}
	defer t.Close()
	defer servers.close() // while what they still answer is caught
	c := crossing{run: r, gate: gate, trap: t, servers: servers}
	return c.all(ctx, servers.questions)
}

// crossing is the time in which questions are out.
type crossing struct {
	*run
	gate    *inject.Gate
	trap    *trap.Trap
	servers *servers
	open    []proof.Question // connections of other hosts that are to be taken back
}

// lookAgain is how often answers that are late are looked for.
const lookAgain = 5 * time.Millisecond

func (c *crossing) all(ctx context.Context, questions []proof.Question) (s shown, err error) {
	defer c.forget(questions)
	for _, q := range questions {
		if err := c.put(q); err != nil {
			return s, err
		}
	}
	if s.sights, err = c.trap.Read(); err != nil {
		return s, err
	}
	s.questions = slices.Clone(questions)
	defer c.takeBack()
	if err := c.putAgain(s.questions, s.sights); err != nil {
		return s, err
	}
	return s, c.wait(ctx, &s)
}

// wait looks for answers until all are there that may come.
func (c *crossing) wait(ctx context.Context, s *shown) (err error) {
	for began := time.Now(); ; {
		owing := c.servers.owing()
		if s.sights, err = c.trap.Read(); err != nil {
			return err
		}
		if time.Since(began) >= proof.Patience(s.questions, s.sights, owing) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// put makes a question arrive. One that opens a connection is taken back at once.
func (c *crossing) put(q proof.Question) error {
	if q.Proto == "tcp" {
		return c.gate.Knock(q.Path.Index, c.way(q))
	}
	return c.gate.Receive(q.Path.Index, c.frame(q))
}

// putAgain asks anew what was passed on to another host, which may not have answered before it was taken back: this time
// it is taken back in the end. The number of the question changes.
func (c *crossing) putAgain(questions []proof.Question, s proof.Sights) error {
	for i, q := range questions {
		if q.Proto != "tcp" || !s.PassedOn(q) {
			continue
		}
		q.From = netip.AddrPortFrom(q.From.Addr(), q.From.Port()+anew)
		questions[i] = q
		c.open = append(c.open, q)
		if err := c.gate.Receive(q.Path.Index, inject.SYN(c.way(q))); err != nil {
			return err
		}
	}
	return nil
}

// takeBack resets what putAgain has opened, and has it forgotten.
func (c *crossing) takeBack() {
	for _, q := range c.open {
		// One that cannot be taken back ends by itself on the other host.
		c.gate.Receive(q.Path.Index, inject.RST(c.way(q)))
	}
	c.forget(c.open)
}

func (c *crossing) frame(q proof.Question) []byte {
	if q.Proto == "udp" {
		return inject.UDP(c.way(q), payload(q))
	}
	return inject.Echo(c.way(q))
}

func (c *crossing) way(q proof.Question) inject.Way {
	w := inject.Way{From: q.From, To: q.To}
	if mac := c.target.Facts.Links[q.Path.Link].MAC; mac != "" {
		w.MAC = []byte(mac)
	}
	return w
}
